//! Threads: calls from several at once, damage in a task, and an end without loose ends.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
};

use openlora_kernels::{
    Cpu, CpuPath, HeadColumns, MatmulInput, RopeTable, WeightFormat, WeightMatrix, matmul,
};

use crate::support::{Numbers, bits};

#[test]
fn calls_from_many_threads_give_the_same() {
    let weights = Numbers::new(1).floats(512 * 256);
    let matrix = WeightMatrix::from_f32(WeightFormat::Int8, 256, &[&weights]).unwrap();
    let cpu = Cpu::new(3);
    assert_eq!(cpu.threads(), 3);
    let x = Numbers::new(2).floats(5 * 256);
    let product = || {
        let mut input = MatmulInput::default();
        input.fill(&cpu, matrix.format(), &x, 256);
        let mut out = vec![0.0; 5 * 512];
        matmul(&cpu, &matrix, &input, &mut out);
        bits(&out)
    };
    let expected = product();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert_eq!(product(), expected);
                }
            });
        }
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_threads_go_on() {
    let cpu = Cpu::new(2);
    let table = RopeTable::new(64, 10_000.0, 8);
    let columns = HeadColumns { start: 0, heads: 4 };
    let rotate = |position: usize| {
        let mut data = vec![1.0; 400 * 256];
        let positions = vec![position; 400];
        catch_unwind(AssertUnwindSafe(|| {
            table.rotate(&cpu, &positions, &mut data, columns)
        }))
    };
    for _ in 0..50 {
        assert!(rotate(9).is_err());
        assert!(rotate(7).is_ok());
    }
}

#[test]
fn paths_of_other_cpus_are_refused() {
    for path in CpuPath::ALL {
        match Cpu::with_path(path, 1) {
            Ok(cpu) => assert_eq!((cpu.path(), path.is_supported()), (path, true)),
            Err(error) => {
                assert!(!path.is_supported());
                assert_eq!(
                    error.to_string(),
                    format!("this CPU does not run the {path} kernels")
                );
            }
        }
    }
    assert!(CpuPath::detect().is_supported());
    assert!(CpuPath::Scalar.is_supported());
    assert_eq!(Cpu::new(0).threads(), 1);
}

#[test]
fn every_task_runs_once() {
    let cpu = Cpu::new(3);
    for tasks in [0, 1, 2, 7, 1000] {
        let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
        cpu.run_tasks(counts.iter().collect(), |count| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let counts: Vec<usize> = counts.into_iter().map(AtomicUsize::into_inner).collect();
        assert_eq!(counts, vec![1; tasks]);
    }
}
