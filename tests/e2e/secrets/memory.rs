//! Keys in memory: no core dump has them.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
};

use openlora_core::private::memory::LockedMemory;

use crate::{
    live::{serve_args, write_adapters},
    support::binary,
    waiting,
};

/// The flags of the mapping that holds an address, as the system tells them.
fn flags(address: usize) -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    for line in maps.lines() {
        let range = line.split(' ').next().and_then(|it| it.split_once('-'));
        let ends = range.and_then(|(from, to)| {
            let number = |text| usize::from_str_radix(text, 16).ok();
            Some((number(from)?, number(to)?))
        });
        if let Some((from, to)) = ends {
            inside = (from..to).contains(&address);
        }
        if let (true, Some(flags)) = (inside, line.strip_prefix("VmFlags: ")) {
            return flags.split_whitespace().map(str::to_owned).collect();
        }
    }
    panic!("nothing is mapped at {address:#x}");
}

#[test]
fn a_locked_value_is_left_out_of_dumps() {
    let key = LockedMemory::new([7_u8; 32]).unwrap();
    let address = std::ptr::from_ref::<[u8; 32]>(&key).addr();
    // "dd": do not include the area in a core dump.
    assert!(flags(address).contains(&"dd".to_owned()));
    assert_eq!(*key, [7; 32]);
    assert_eq!(format!("{key:?}"), "Locked(hidden)");
    let other = Box::new([7_u8; 32]);
    let address = std::ptr::from_ref::<[u8; 32]>(&other).addr();
    assert!(!flags(address).contains(&"dd".to_owned()));
}

#[test]
fn a_locked_value_is_dropped_once() {
    let counted = std::sync::Arc::new(());
    let locked = LockedMemory::new(std::sync::Arc::clone(&counted)).unwrap();
    assert_eq!(std::sync::Arc::strong_count(&counted), 2);
    drop(locked);
    assert_eq!(std::sync::Arc::strong_count(&counted), 1);
}

/// However many dumps the shell that starts it allows.
#[test]
fn a_server_that_dies_leaves_no_core_dump() {
    let dir = tempfile::tempdir().unwrap();
    write_adapters(dir.path());
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -c unlimited 2>/dev/null; exec \"$0\" \"$@\""])
        .arg(binary())
        .args(serve_args(0))
        .current_dir(dir.path())
        .env("OPENLORA_HOME", dir.path().join("home"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let core = limits
        .lines()
        .find(|it| it.starts_with("Max core file size"));
    let words: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(words[4..], ["0", "0", "bytes"], "{limits}");
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-ABRT", &id])
            .status()
            .unwrap()
            .success()
    );
    let status = waiting::ended("the server", &mut child);
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}
