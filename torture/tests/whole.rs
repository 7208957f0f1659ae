//! What goes wrong between people, played through the command line against a real server.

mod whole {
    mod damage;
    mod offline;
    mod rollback;
    mod scene;
}
