//! The configuration of each process, as text with comments.

use std::fmt::Write;

use quittance_rpc::identity::Process;

use super::names;
use super::plan::{Member, Members};

/// `directory.toml`: where everybody is.
pub fn directory(members: &Members) -> String {
    let remote = |section: &str, member: &Member| {
        let Member { name, address, .. } = member;
        format!("[{section}]\naddress = \"{address}\"\nidentity = \"{name}\"\n\n")
    };
    let mut text = String::from(
        "# Where the processes of this network listen. Who answers is checked by certificate, so\n\
         # a wrong address can delay but not deceive.\n\n",
    );
    text += &remote("node", &members.node);
    text += &remote("coordinator", &members.coordinator);
    if !members.validators.is_empty() {
        text += "# All validators.\n[validators]\n";
        for node in members.nodes() {
            line(&mut text, node.institution().as_str(), &node.address.to_string());
        }
        text.push('\n');
    }
    text += "# MPC parties.\n[parties]\n";
    for party in &members.parties {
        line(&mut text, party.institution().as_str(), &party.address.to_string());
    }
    text += "\n# Agents, as other agents reach them.\n[agents]\n";
    for agent in &members.agents {
        if let Some(address) = agent.peer_address {
            line(&mut text, agent.institution().as_str(), &address.to_string());
        }
    }
    text
}

/// `config.toml` of one process of a network with these members.
pub fn process(member: &Member, members: &Members) -> String {
    let alone = members.validators.is_empty();
    let institution = member.institution();
    let what = match member.name.process {
        Process::Node => format!("The validator {institution}."),
        Process::Coordinator => {
            format!("The coordinator {institution}: arranges rounds, holds no secrets of banks.")
        }
        Process::Party => format!("The MPC party {institution}: computes on shares of secrets."),
        Process::Agent if institution.as_str() == names::CENTRAL_BANK => {
            format!("The agent of {institution}, the central bank: issues all assets.")
        }
        Process::Agent => format!("The agent of {institution}: holds the bank's keys."),
    };
    let mut text = format!(
        "# {what}\n\
         # Made by `quittance testnet`. Paths are relative to this file.\n\
         \n\
         institution = \"{institution}\"\n\
         # What the chain began with. Its digest is the chain's id.\n\
         genesis = \"../genesis.json\"\n\
         # The institution's secret keys, encrypted, and the file with the passphrase.\n\
         keys = \"keys.age\"\n\
         passphrase = \"passphrase\"\n"
    );
    if member.name.process != Process::Coordinator {
        text += "# Where this process keeps what it must not lose.\ndata = \"data\"\n";
    }
    if member.name.process != Process::Node || !alone {
        text += "# Where the other processes listen.\ndirectory = \"../directory.toml\"\n";
    }
    if member.name.process != Process::Node && !alone {
        text += &nodes(member, members);
    }
    text += settings(member.name.process);
    text += &match member.peer_address {
        None => listen("listen", "Where everybody reaches this process.", member.address),
        Some(peer) => {
            listen("listen", "For the bank's own systems: gRPC.", member.address)
                + &listen("listen_peers", "For other banks' agents.", peer)
        }
    };
    text += &format!(
        "\n# What it counts, for Prometheus: GET /metrics, over plain HTTP.\n\
         [metrics]\nlisten = \"{}\"\n",
        member.metrics
    );
    text += "\n# This process's certificate, and whose certificates it accepts.\n\
             [tls]\n\
             certificate = \"tls.pem\"\n\
             key = \"tls.key\"\n\
             \n\
             [[tls.trust]]\n\
             file = \"../ca/ca.pem\"\n";
    text
}

/// Which validators a process uses: each begins with another one, so that they share the work.
fn nodes(member: &Member, members: &Members) -> String {
    let mut names: Vec<_> =
        members.nodes().map(|node| format!("\"{}\"", node.institution())).collect();
    let users = members.iter().filter(|user| user.name.process != Process::Node);
    let place = users.take_while(|user| *user != member).count();
    let first = place.checked_rem(names.len()).unwrap_or(0);
    names.rotate_left(first);
    format!(
        "# The validators that this process uses: the first one, and the next when it is away.\n\
         nodes = [{}]\n",
        names.join(", ")
    )
}

/// What may be set besides; commented out where the value is the default.
fn settings(process: Process) -> &'static str {
    match process {
        Process::Node => {
            "# The longest time between two blocks. Locks and expiries are counted in blocks: so\n\
             # often, time goes on for a network in which nothing happens.\n\
             heartbeat_ms = 250\n\
             # The least time between two blocks.\n\
             # min_block_interval_ms = 20\n"
        }
        Process::Coordinator => {
            "# How long accounts may join a round, and when it is over; in blocks from its opening.\n\
             # join_blocks = 200\n\
             # deadline_blocks = 400\n\
             # The longest wait for banks to join and deal, for the committee's result, and for\n\
             # each answer of the banks after that.\n\
             # gather_ms = 15000\n\
             # compute_ms = 300000\n\
             # prove_ms = 60000\n\
             # The fewest banks that settle with one another.\n\
             # minimum_roster = 2\n"
        }
        Process::Agent => {
            "# How long a credit may wait for a posting that takes it along.\n\
             # absorb_after_ms = 200\n\
             # For how many blocks a transaction may be included.\n\
             # expiry_blocks = 300\n"
        }
        Process::Party => {
            "# The longest computation; less than at the coordinator.\n\
             # compute_ms = 240000\n\
             \n\
             # What is made ahead of rounds with the other parties. Not to be backed up.\n\
             # [preprocessing]\n\
             # folder = \"stock\"\n\
             # batches = 4\n\
             # comparisons = 1024\n\
             # bits = 16384\n"
        }
    }
}

fn listen(section: &str, what: &str, address: std::net::SocketAddr) -> String {
    format!("\n# {what}\n[{section}]\naddress = \"{address}\"\n")
}

fn line(text: &mut String, key: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{key} = \"{value}\"");
}
