//! A program inside attacks the jail in every way that its tests know.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
};

use openlora_container::jail::HeldSocket;

use crate::support::place;

/// Attacks with what must come of them.
#[track_caller]
fn expect(attacks: &[(&str, &str)]) {
    let names: Vec<&str> = attacks.iter().map(|(attack, _)| *attack).collect();
    let jailed = place(&names).run();
    let expected: Vec<String> = attacks
        .iter()
        .map(|(attack, outcome)| format!("{attack}: {outcome}"))
        .collect();
    assert_eq!(jailed.lines, expected);
    assert_eq!(jailed.exit.code, 0);
}

#[test]
fn system_calls_that_lead_out_are_denied() {
    expect(&[
        ("mount", "error 1"),
        ("umount", "error 1"),
        ("pivot", "error 1"),
        ("chroot", "error 1"),
        ("unshare", "error 1"),
        ("setns", "error 1"),
        ("fork", "error 1"),
        ("namespace", "error 1"),
        ("clone3", "error 38"),
        ("ptrace", "error 1"),
        ("keyctl", "error 1"),
        ("io_uring", "error 1"),
        ("bpf", "error 1"),
        ("memfd", "error 1"),
        ("setuid", "error 1"),
        ("affinity", "error 1"),
        ("shared=1", "error 1"),
        ("growing=1", "error 1"),
        ("run=/usr/bin/openlora", "error 1"),
        ("thread", "done"),
    ]);
}

#[test]
fn nothing_outside_of_the_view_is_read_or_written() {
    expect(&[
        ("list=/", "error 13"),
        ("write=/written", "error 30"),
        ("write=/usr/bin/openlora", "error 30"),
        ("write=/package", "error 30"),
        ("read=/etc/shadow", "error 2"),
        ("read=/root/.bashrc", "error 2"),
        ("write=/run/openlora/file", "error 13"),
        ("link=/run/openlora/link", "error 13"),
        ("write=/proc/sys/kernel/core_pattern", "error 30"),
        ("write=/proc/self/oom_score_adj", "error 30"),
        ("read=/proc/sys/kernel/core_pattern", "error 13"),
        ("list=/proc", "error 13"),
        ("read=/dev/null", "done"),
        ("write=/dev/zero", "error 13"),
        ("write=/tmp/file", "done"),
        ("write=/home/openlora/file", "done"),
    ]);
}

#[test]
fn no_network_is_reached() {
    expect(&[
        ("tcp=127.0.0.1:80", "error 1"),
        ("tcp=192.0.2.1:80", "error 1"),
        ("tcp=[::1]:80", "error 1"),
        ("udp=0.0.0.0:0", "error 1"),
        ("listen=/run/openlora/one.sock", "done"),
        ("unix=/var/run/docker.sock", "error 2"),
    ]);
}

#[test]
fn privileges_are_gone() {
    expect(&[
        ("status=Uid", "65534 65534 65534 65534"),
        ("status=Gid", "65534 65534 65534 65534"),
        ("status=CapEff", "0000000000000000"),
        ("status=CapPrm", "0000000000000000"),
        ("status=CapInh", "0000000000000000"),
        ("status=CapBnd", "0000000000000000"),
        ("status=CapAmb", "0000000000000000"),
        ("status=NoNewPrivs", "1"),
        ("status=Seccomp", "2"),
        ("status=NSpid", "1"),
    ]);
}

/// The folder of the socket belongs to the inside, which could put a link to another socket there.
#[test]
fn a_link_in_place_of_the_socket_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (victim, link) = (dir.path().join("victim"), dir.path().join("server.sock"));
    let listener = UnixListener::bind(&victim).unwrap();
    let held = HeldSocket::open(&victim).unwrap();
    std::os::unix::net::UnixStream::connect(held.path()).unwrap();
    listener.accept().unwrap();
    symlink(&victim, &link).unwrap();
    let refused = HeldSocket::open(&link).unwrap_err();
    assert_eq!(refused.to_string(), "it is no socket");
    fs::remove_file(&link).unwrap();
    fs::write(&link, b"").unwrap();
    let refused = HeldSocket::open(&link).unwrap_err();
    assert_eq!(refused.to_string(), "it is no socket");
}

/// What the inside writes outside of itself, it does not.
#[test]
fn the_shared_folder_holds_sockets_only() {
    let place = place(&["write=/run/openlora/file", "listen=/run/openlora/one.sock"]);
    let jailed = place.run();
    assert_eq!(
        jailed.lines,
        [
            "write=/run/openlora/file: error 13",
            "listen=/run/openlora/one.sock: done"
        ]
    );
    let shared = place.dir.path().join("shared");
    let left = fs::read_dir(shared)
        .unwrap()
        .map(|it| it.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["one.sock"]);
}
