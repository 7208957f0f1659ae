//! Two people start a session, write to each other and compare their safety number.
use sealpost_crypto::*;

/// A person with one device. The last field would be in a vault, and prekey bundles would come from a server.
struct Person(AccountIdentityKeyPair, DeviceIdentityKeyPair, DeviceList, SignedPrekeyPair);
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

impl Person {
    fn new() -> Result<Self, DeviceListError> {
        let (rng, device) = (&mut rand::rng(), DeviceId::PRIMARY);
        let (account, identity) = (AccountIdentityKeyPair::generate(rng), DeviceIdentityKeyPair::generate(rng));
        let entry = DeviceEntry { device, registration: RegistrationId::generate(rng), identity: identity.public() };
        let body = DeviceListBody::first(AccountId::generate(rng), account.public(), entry);
        let list = DeviceList::sign(&account, body)?;
        Ok(Self(account, identity, list, SignedPrekeyPair::generate(rng, SignedPrekeyId(1), NOW)))
    }
    fn remote(&self) -> Result<RemoteDevice, &'static str> {
        RemoteDevice::from_list(&self.2, DeviceId::PRIMARY).ok_or("the list has no such device")
    }
    fn local(&self) -> Result<LocalDevice<'_>, &'static str> {
        let (address, account_identity) = (self.remote()?.address, self.0.public());
        Ok(LocalDevice { address, account_identity, identity: &self.1, device_list: &self.2 })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (rng, alice, bob) = (&mut rand::rng(), Person::new()?, Person::new()?);
    let (address, signed_prekey) = (bob.remote()?.address, bob.3.signed(&bob.remote()?.address, &bob.1));
    let bundle = PrekeyBundle { address, signed_prekey, one_time_prekey: None }.verify(&bob.remote()?, NOW)?;
    let (mut with_bob, mut with_alice) = (PairSessions::new(bob.remote()?), PairSessions::new(alice.remote()?));
    with_bob.initiate(rng, &alice.local()?, &bundle)?;
    let hello = with_bob.encrypt(rng, &alice.local()?, b"Hello, Bob")?;
    let hello = with_alice.decrypt(rng, &bob.local()?, &hello, &bob.3)?;
    let reply = with_alice.encrypt(rng, &bob.local()?, b"Hello, Alice")?;
    let reply = with_bob.decrypt(rng, &alice.local()?, &reply, &alice.3)?;
    println!("{} / {}", String::from_utf8_lossy(&hello.plaintext), String::from_utf8_lossy(&reply.plaintext));
    println!("{}", SafetyNumber::new((alice.2.account(), alice.0.public()), (bob.2.account(), bob.0.public())));
    Ok(())
}
