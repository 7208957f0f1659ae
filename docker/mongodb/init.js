// Makes the replica set and its two users, once; run again it changes nothing but the password of `sealpost`, which becomes
// what the secret says. Runs beside the first member, as that member's own machine: only there may the first user be made.
const fs = require("fs");
const secret = (name) => fs.readFileSync("/run/secrets/" + name, "utf8").trim();
const root = { user: "root", pwd: secret("mongodb_root_password") };
const sealpost = { user: "sealpost", pwd: secret("mongodb_password") };
const members = ["mongodb1:27017", "mongodb2:27017", "mongodb3:27017"];
const here = "mongodb://127.0.0.1:27017/?directConnection=true&serverSelectionTimeoutMS=60000";
const set = `mongodb://root:${root.pwd}@${members.join(",")}/admin?replicaSet=rs0&serverSelectionTimeoutMS=60000`;

// Whether the users are there: then the set is, too.
function admin() {
  try {
    const found = new Mongo(set).getDB("admin");
    found.runCommand({ connectionStatus: 1 });
    return found;
  } catch (error) {
    print(`no login yet (${error.codeName || error.name}): this is the first start`);
    return null;
  }
}

function begin() {
  const first = new Mongo(here).getDB("admin");
  try {
    first.runCommand({
      replSetInitiate: { _id: "rs0", members: members.map((host, at) => ({ _id: at, host, priority: at === 0 ? 2 : 1 })) },
    });
  } catch (error) {
    // A first run that broke off after it.
    if (error.codeName !== "AlreadyInitialized") throw error;
  }
  while (!first.runCommand({ hello: 1 }).isWritablePrimary) sleep(500);
  first.createUser({ ...root, roles: ["root"] }, { w: "majority" });
  return new Mongo(set).getDB("admin");
}

// Before the set is there, waiting for its primary would take the whole minute.
const initiated = (() => {
  try {
    return Boolean(new Mongo(here).getDB("admin").runCommand({ hello: 1 }).setName);
  } catch (error) {
    print(`the first member does not answer: ${error.message}`);
    throw error;
  }
})();
const db = ((initiated && admin()) || begin()).getSiblingDB("sealpost");
const roles = [{ role: "readWrite", db: "sealpost" }, { role: "dbAdmin", db: "sealpost" }];
if (db.getUser("sealpost")) {
  db.updateUser("sealpost", { pwd: sealpost.pwd, roles }, { w: "majority" });
} else {
  db.createUser({ ...sealpost, roles }, { w: "majority" });
}
print("the replica set and its users are there");
