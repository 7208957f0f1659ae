//! `sealpost-server secrets`: creates, shows and changes the keys.

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::args::{SecretsArgs, SecretsCommand};
use super::fingerprint::{self, Fingerprint};
use super::folder::{TOKEN_KEYS, hold, make, read_keys, usable_folder, write_token_keys};
use super::token_keys::TokenKeys;
use crate::base::config::data_folder;
use crate::domain::clock::SystemRandom;

/// The printed object.
#[derive(Serialize)]
struct Printed {
    folder: String,
    /// Whether missing keys were created.
    made: bool,
    token_keys: Vec<PrintedKey>,
}

#[derive(Serialize)]
struct PrintedKey {
    id: String,
    fingerprint: String,
    /// `signs`, `believed`, or `waiting` for its use.
    state: &'static str,
}

/// Runs the command, and prints the keys by their fingerprints.
///
/// # Errors
/// An error for the operator if the folder cannot be used.
pub fn run(args: &SecretsArgs) -> Result<()> {
    let folder = data_folder(args.secrets.as_deref().or(args.data.as_deref()))?;
    let made = if args.command == SecretsCommand::Init {
        usable_folder(&folder)?;
        make(&folder, &SystemRandom, || Ok(()))?
    } else {
        false
    };
    let changes = !matches!(args.command, SecretsCommand::Init | SecretsCommand::Show);
    let _held = changes.then(|| hold(&folder)).transpose()?;
    let (names_key, mut keys) = read_keys(&folder)
        .with_context(|| format!("{} is no secrets folder; `secrets init` makes one", folder.display()))?;
    let fingerprint = Fingerprint::new(&names_key);
    change(&args.command, &mut keys, &fingerprint)?;
    if changes {
        write_token_keys(&folder.join(TOKEN_KEYS), &keys)?;
    }
    let signing = keys.signing().map(|key| key.id().clone());
    let token_keys = keys.iter().map(|(key, waiting)| {
        let state = match waiting {
            true => "waiting",
            false if Some(key.id()) == signing.as_ref() => "signs",
            false => "believed",
        };
        Ok(PrintedKey { id: key.id().as_str().to_owned(), fingerprint: fingerprint.token_key(key)?, state })
    });
    let token_keys = token_keys.collect::<Result<Vec<_>>>()?;
    print(args, &Printed { folder: folder.display().to_string(), made, token_keys })
}

fn change(command: &SecretsCommand, keys: &mut TokenKeys, fingerprint: &Fingerprint) -> Result<()> {
    match command {
        SecretsCommand::Init | SecretsCommand::Show => {}
        SecretsCommand::AddKey => keys.add(&SystemRandom)?,
        SecretsCommand::UseKey => keys.use_added()?,
        SecretsCommand::DropKeys => keys.drop_former(),
        SecretsCommand::ReplaceKeys { replaces } => {
            let mut former = keys.iter().map(|(key, _)| fingerprint.token_key(key)).collect::<Result<Vec<_>, _>>()?;
            if let Some(text) = replaces {
                fingerprint::parse(text)?;
                former.push(text.to_ascii_lowercase());
            }
            keys.replace(former, &SystemRandom);
        }
    }
    Ok(())
}

fn print(args: &SecretsArgs, printed: &Printed) -> Result<()> {
    if args.json {
        println!("{}", serde_json::to_string(printed)?);
        return Ok(());
    }
    for key in &printed.token_keys {
        println!("token key {}  {:8}  {}", key.id, key.state, key.fingerprint);
    }
    let next = match args.command {
        SecretsCommand::Init if printed.made => "New keys. Copy the folder to every node, readable by its user alone.",
        SecretsCommand::Init => "The keys were there already, and stay.",
        SecretsCommand::Show => return Ok(()),
        SecretsCommand::AddKey => "Copy token_keys.json to every node, reload each, and then: secrets use-key.",
        SecretsCommand::UseKey => {
            "Copy token_keys.json to every node, reload each, and 10 minutes later: secrets drop-keys."
        }
        SecretsCommand::DropKeys => "Copy token_keys.json to every node and reload each.",
        SecretsCommand::ReplaceKeys { .. } => {
            "Copy token_keys.json to every node and reload each at once: until then they refuse each other's tokens."
        }
    };
    println!("{next}");
    Ok(())
}
