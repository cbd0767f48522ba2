//! Speeds that bound training on this machine. Nothing is written.

use std::{hint::black_box, time::Instant};

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use serde::Serialize;

use super::{
    adamw::AdamWOptions,
    config::TrainConfig,
    error::TrainError,
    rows::ragged,
    step::{NoiseState, TrainStepper},
};
use openlora_decoder::{Decoder, compute_device};
use openlora_model::{BaseModel, dataset::encode::EncodedRow};

/// What was measured; each is the best of some trials, on all cores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct MachineSpeed {
    /// Products of f32 matrices, in 10⁹ operations per second.
    pub matrix_gflops: f64,
    /// Reading memory, in 10⁹ bytes per second.
    pub memory_gb_per_second: f64,
    /// Training of a rank 8 adapter for the base `nano`, in rows of 128 tokens.
    pub nano_tokens_per_second: f64,
}

/// Time of the trials of one speed.
const TRIAL_SECONDS: f64 = 1.0;
/// Rows and columns of the matrices.
const MATRIX: usize = 1024;
/// Values that are read, which are more than caches hold.
const VALUES: usize = 64 << 20;
/// Values that one thread reads at once.
const CHUNK: usize = 1 << 16;
const ROWS: usize = 8;
const ROW_TOKENS: usize = 128;

/// Measures the processor, the memory, and training on the base `nano`.
pub fn measure(nano: &BaseModel) -> Result<MachineSpeed, TrainError> {
    Ok(MachineSpeed {
        matrix_gflops: matrix_flops()? / 1e9,
        memory_gb_per_second: memory_bytes()? / 1e9,
        nano_tokens_per_second: training_tokens(nano)?,
    })
}

/// Units per second of the fastest trial; the first trial only prepares.
fn fastest(
    units: f64,
    mut trial: impl FnMut() -> Result<(), TrainError>,
) -> Result<f64, TrainError> {
    trial()?;
    let (began, mut least) = (Instant::now(), f64::INFINITY);
    while began.elapsed().as_secs_f64() < TRIAL_SECONDS {
        let start = Instant::now();
        trial()?;
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok(units / least.max(1e-9))
}

fn matrix_flops() -> Result<f64, TrainError> {
    let matrix = || Tensor::rand(-1f32, 1f32, (MATRIX, MATRIX), &Device::Cpu);
    let (left, right) = (matrix()?, matrix()?);
    fastest(2.0 * (MATRIX as f64).powi(3), || {
        black_box(left.matmul(&right)?);
        Ok(())
    })
}

fn memory_bytes() -> Result<f64, TrainError> {
    let values: Vec<u32> = (0..VALUES as u32).collect();
    let read = || -> u32 {
        let sum = |chunk: &[u32]| {
            chunk
                .iter()
                .fold(0, |sum: u32, value| sum.wrapping_add(*value))
        };
        let sums = values.par_chunks(CHUNK).map(sum);
        sums.reduce(|| 0, u32::wrapping_add)
    };
    let bytes = size_of_val(values.as_slice()) as f64;
    fastest(bytes, || {
        black_box(read());
        Ok(())
    })
}

fn training_tokens(nano: &BaseModel) -> Result<f64, TrainError> {
    let config = TrainConfig::default();
    let mut decoder = Decoder::load(nano, config.precision)?;
    decoder.use_device(&compute_device()?)?;
    decoder.attach_lora(&config.lora()?, config.seed)?;
    let mut stepper = TrainStepper::new(decoder, AdamWOptions::default(), config.clip)?;
    let vocabulary = nano.config.vocab_size as u32;
    let row = EncodedRow {
        ids: (0..ROW_TOKENS as u32).map(|at| at % vocabulary).collect(),
        targets: (0..ROW_TOKENS).map(|at| at > 0).collect(),
    };
    let batch = ragged(std::iter::repeat_n(&row, ROWS));
    fastest((ROWS * ROW_TOKENS) as f64, || {
        stepper.step(
            std::slice::from_ref(&batch),
            config.lr,
            NoiseState::default(),
        )?;
        Ok(())
    })
}
