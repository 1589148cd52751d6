//! The last words: where things are, and what to do next.

use std::path::Path;

use quittance_ledger::ids::InstitutionId;

use crate::table::Table;
use crate::testnet::names;
use crate::testnet::plan::Members;

/// After `quittance demo`.
pub fn done(directory: &Path, program: &Path, bank: InstitutionId) -> String {
    let mut files = Table::new(&["path", "what"]);
    for (path, what) in [
        ("genesis.json", "what the chain began with: institutions, public keys, assets"),
        ("directory.toml", "where each process listened"),
        ("<process>/config.toml", "the configuration of each process, with comments"),
        ("<process>/log", "what each process logged"),
        ("<process>/data", "what each process stored"),
        ("clients/<bank>.pem", "the certificates that the banks' own systems use"),
    ] {
        files.row([path, what]);
    }
    let (dir, program) = (directory.display(), program.display());
    format!(
        "\nThe files of this network are in {dir}:\n\n{files}\n\
         All processes have ended. What to try next:\n\n  \
         {program} up --dir {dir}\n    \
         the same network again, with all balances and queues as they are now; and meanwhile\n  \
         {program} status --dir {dir}\n    \
         how its processes are, while they run\n  \
         {program} client --dir {dir} --bank {bank} balance\n    \
         what a bank asks its agent; `client --help` lists the rest\n  \
         {program} demo --positions P.csv --payments Q.csv --json OUT.json\n    \
         the same with your own payments; crates/cli/data holds the sample as a pattern\n  \
         {program} keys inspect {dir}/agent-{central}/keys.age\n    \
         the public keys of the central bank, as genesis.json names them\n  \
         {program} testnet --dir my-network --institutions 4\n    \
         a network of your own, to be started with `up`\n",
        central = names::CENTRAL_BANK,
    )
}

/// After `quittance testnet`: how to start the network.
pub fn made(directory: &Path, members: &Members) -> String {
    let mut text = String::from("The network is made. Start each of these:\n\n");
    for member in members.iter() {
        let subcommand = super::network::subcommand(member.name.process);
        let config = member.config(directory);
        text += &format!("  quittance {subcommand} --config {}\n", config.display());
    }
    let directory = directory.display();
    text += &format!("\nor all at once:\n\n  quittance up --dir {directory}\n");
    text += &format!("\nHow they are:\n\n  quittance status --dir {directory}\n");
    text + "\nOne folder holds the secrets of all: this is for trying out, never for money.\n"
}
