//! Limits are read back as they were asked for, are felt, and are an error where they cannot be
//! enforced.

use openlora_container::{
    ContainerError,
    limits::{CpuShare, LimitName, MemorySize},
    report::LimitReading,
};
use openlora_core::error::{ExitClass, Explain};

use crate::support::{Place, place};

fn readings(place: &Place) -> Vec<LimitReading> {
    place.run().report.limits
}

/// Each limit with what was read back.
fn found(limits: &[LimitReading]) -> Vec<(LimitName, &str, bool)> {
    limits
        .iter()
        .map(|it| (it.limit, it.found.as_str(), it.in_force))
        .collect()
}

#[test]
fn every_limit_is_in_force_as_asked() {
    let limits = readings(&place(&["thread"]));
    assert_eq!(
        found(&limits),
        [
            (LimitName::Memory, "128MiB", true),
            (LimitName::Cpus, "1", true),
            (LimitName::Pids, "16", true),
            (LimitName::OpenFiles, "64", true),
            (LimitName::CoreDumps, "0", true),
            (LimitName::Network, "denied", true),
            (LimitName::ReadOnlyRoot, "denied", true),
            (LimitName::User, "65534:65534", true),
            (LimitName::Capabilities, "none", true),
            (LimitName::NoNewPrivileges, "on", true),
            (
                LimitName::Namespaces,
                "own user, mnt, pid, net, ipc, uts",
                true
            ),
            (LimitName::Landlock, "denied", true),
            (LimitName::Seccomp, "denied", true),
        ]
    );
    assert!(limits.iter().all(|it| it.asked == it.found));
}

#[test]
fn every_attempt_of_the_report_is_denied() {
    let attempts = place(&["thread"]).run().report.attempts;
    let done: Vec<_> = attempts.iter().filter(|it| it.outcome == "done").collect();
    assert_eq!(done, Vec::<&_>::new());
    assert_eq!(attempts.len(), 24);
}

#[test]
fn more_than_the_limit_is_not_given() {
    let jailed = place(&["threads=40", "files=100"]).run();
    let [threads, files] = jailed.lines.as_slice() else {
        panic!("{:?}", jailed.lines);
    };
    assert!(
        threads.starts_with("threads=40: ") && threads.ends_with(" of 40"),
        "{threads}"
    );
    assert_eq!(files, "files=100: too many open files");
}

/// By the control group where there is one, else by the limit on the data of the one process.
#[test]
fn too_much_memory_ends_the_program() {
    let jailed = place(&["allocate=512"]).run();
    let memory = jailed.report.reading(LimitName::Memory).unwrap().clone();
    match memory.by.starts_with("cgroup") {
        true => {
            assert!(jailed.exit.out_of_memory, "{:?}", jailed.exit);
            assert_eq!(
                (jailed.exit.code, jailed.lines),
                (128 + 9, Vec::<String>::new())
            );
        }
        false => {
            assert_eq!(memory.by, "RLIMIT_DATA of the one process");
            let [line] = jailed.lines.as_slice() else {
                panic!("{:?}", jailed.lines);
            };
            assert!(line.starts_with("allocate=512: refused after "), "{line}");
        }
    }
}

#[test]
fn a_limit_that_is_waived_may_be_missing() {
    let place = place(&["thread", "unshare"]).waive(LimitName::Landlock);
    let jailed = place.run();
    let landlock = jailed.report.reading(LimitName::Landlock).unwrap();
    assert_eq!(
        (landlock.in_force, landlock.waived, landlock.by.as_str()),
        (false, true, "waived")
    );
    assert_eq!(jailed.lines, ["thread: done", "unshare: error 1"]);
}

/// More descriptors than the process may ever have.
#[test]
fn a_limit_that_cannot_be_enforced_is_an_error() {
    let mut place = place(&["thread"]);
    place.spec.limits.open_files = u32::MAX;
    let error = place.try_run().map(|it| it.lines).unwrap_err();
    assert!(matches!(
        error,
        ContainerError::Jail {
            limit: Some(LimitName::OpenFiles),
            ..
        }
    ));
    assert_eq!(error.class(), ExitClass::Environment);
    assert_eq!(
        error.to_string(),
        "cannot start the jail: limit open files: operation not permitted"
    );
    assert_eq!(
        error.hint().unwrap(),
        "to run without that limit, add --waive open-files"
    );
    let place = place.waive(LimitName::OpenFiles);
    assert_eq!(place.run().lines, ["thread: done"]);
}

#[test]
fn sizes_and_shares_are_read_and_written() {
    let sizes = [
        ("1GiB", Some(1 << 30), "1GiB"),
        ("512MiB", Some(512 << 20), "512MiB"),
        ("1536MiB", Some(1536 << 20), "1536MiB"),
        ("1GB", Some(999_997_440), "976560KiB"),
        ("16777216", Some(16 << 20), "16MiB"),
        ("15MiB", None, ""),
        ("1.5GiB", None, ""),
        ("GiB", None, ""),
        ("-1GiB", None, ""),
        ("99999999999GiB", None, ""),
    ];
    for (text, bytes, shown) in sizes {
        let size = text.parse::<MemorySize>().ok();
        assert_eq!(size.map(|it| it.0), bytes, "{text}");
        assert_eq!(
            size.map_or(String::new(), |it| it.to_string()),
            shown,
            "{text}"
        );
    }
    let shares = [
        ("2", Some(2000), "2"),
        ("0.5", Some(500), "0.5"),
        ("1.25", Some(1250), "1.25"),
        ("0.010", Some(10), "0.01"),
        ("0.009", None, ""),
        ("1.2345", None, ""),
        (".5", None, ""),
        ("5000", None, ""),
        ("+1", None, ""),
    ];
    for (text, thousandths, shown) in shares {
        let share = text.parse::<CpuShare>().ok();
        assert_eq!(share.map(|it| it.0), thousandths, "{text}");
        assert_eq!(
            share.map_or(String::new(), |it| it.to_string()),
            shown,
            "{text}"
        );
    }
}
