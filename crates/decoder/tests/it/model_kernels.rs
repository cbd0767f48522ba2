//! Fused kernels against plain tensor operations, on shapes that cross every block size; and bits
//! that do not depend on the number of threads.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use candle_core::{DType, Tensor, Var, backprop::GradStore, safetensors};
use openlora_core::error::Explain;
use openlora_decoder::{
    Decoder, ModelParameter, TokenBatch,
    kernels::{
        matmul::{MatmulTarget, MatmulThreads, StridedMatrix, multiply},
        numeric,
    },
};
use openlora_kernels::{WeightFormat, WeightMatrix};
use openlora_model::{BaseModel, LoraConfig, ModelConfig, WeightPrecision, modules};

use crate::oracle::assert_close;

const CONFIG: &str = r#"{
    "model_type": "qwen3", "vocab_size": 97, "hidden_size": 96, "intermediate_size": 130,
    "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 20,
    "attention_bias": true, "use_sliding_window": true, "sliding_window": 40, "max_window_layers": 1
}"#;

/// Without norms of heads, biases and windows.
const LLAMA: &str = r#"{
    "model_type": "llama", "vocab_size": 97, "hidden_size": 96, "intermediate_size": 130,
    "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2
}"#;

fn config(text: &str) -> ModelConfig {
    ModelConfig::parse(text, Path::new("config.json")).unwrap()
}

/// A fixed pseudo-random number in −1..1.
fn wobble(index: usize) -> f32 {
    let bits = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((bits >> 40) as f32 / (1u64 << 24) as f32) * 2.0 - 1.0
}

fn batch(lengths: &[usize], vocab: usize) -> TokenBatch {
    let rows: Vec<(Vec<u32>, Vec<bool>)> = lengths
        .iter()
        .map(|&length| {
            let ids = (0..length)
                .map(|i| ((i * 31 + length * 7) % vocab) as u32)
                .collect();
            (ids, (0..length).map(|i| i % 3 != 1).collect())
        })
        .collect();
    TokenBatch::from_rows(
        rows.iter()
            .map(|(ids, targets)| (ids.as_slice(), targets.as_slice())),
    )
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Writes the decoder to a folder as on the Hub.
fn save(decoder: &Decoder, dir: &Path, dtype: DType) {
    let config = serde_json::to_vec(&decoder.config().source).unwrap();
    std::fs::write(dir.join("config.json"), config).unwrap();
    let stored = |(name, parameter): (String, &ModelParameter)| {
        let tensor = parameter.tensor().to_dtype(dtype).unwrap();
        (name, tensor)
    };
    let tensors: HashMap<_, _> = decoder.parameters().into_iter().map(stored).collect();
    safetensors::save(&tensors, dir.join("model.safetensors")).unwrap();
}

/// Moves every variable a little, so that norms are not 1, and biases and B not 0.
fn perturb(decoder: &Decoder) {
    for (name, var) in decoder.trainable() {
        let salt = name.len();
        let moved = values(&var)
            .iter()
            .enumerate()
            .map(|(i, x)| x + 0.1 * wobble(i + salt))
            .collect();
        var.set(&Tensor::from_vec(moved, var.shape(), var.device()).unwrap())
            .unwrap();
    }
}

fn run(decoder: &Decoder, batch: &TokenBatch) -> BTreeMap<String, Vec<f32>> {
    let (loss, _) = decoder.loss_sum(batch).unwrap();
    let grads = loss.backward().unwrap();
    let gradient = |(name, var): (String, Var)| (name, values(grads.get(&var).unwrap()));
    let mut found: BTreeMap<_, _> = decoder.trainable().into_iter().map(gradient).collect();
    found.insert("loss".to_owned(), values(&loss));
    // Plain operations compute gradients of frozen weights too; the kernels compute none in vain.
    found.insert("gradients".to_owned(), vec![grads.get_ids().count() as f32]);
    found
}

fn lora(dropout: f32) -> LoraConfig {
    LoraConfig {
        rank: 5,
        alpha: 7.0,
        targets: vec!["all-linear".to_owned()],
        dropout,
        rslora: false,
        ..LoraConfig::default()
    }
}

fn assert_fused_is_plain(decoder: &mut Decoder, batch: &TokenBatch) {
    decoder.set_training(true);
    decoder.set_fused(true);
    let mut fused = run(decoder, batch);
    decoder.set_fused(false);
    let mut plain = run(decoder, batch);
    plain.remove("gradients");
    let gradients = fused.remove("gradients");
    let expected = Some(vec![decoder.trainable().len() as f32]);
    assert_eq!(gradients, expected, "only of what learns");
    for (name, expected) in &plain {
        assert_close(&fused[name], expected, 1e-4, name);
    }
}

#[test]
fn every_fused_kernel_agrees_with_its_plain_twin() {
    let config = config(CONFIG);
    let batch = batch(&[70, 1, 130, 64, 2], 97);
    let mut decoder = Decoder::random(&config, 3).unwrap();
    perturb(&decoder);
    assert_fused_is_plain(&mut decoder, &batch);
    decoder.attach_lora(&lora(0.3), 4).unwrap();
    perturb(&decoder);
    decoder.set_noise(11, 5);
    assert_fused_is_plain(&mut decoder, &batch);
}

#[test]
fn a_loss_over_many_chunks_of_logits_is_one_loss() {
    let config = config(CONFIG);
    let lengths: Vec<usize> = (0..20).map(|row| 80 + row).collect();
    let batch = batch(&lengths, 97);
    assert!(batch.target_count() > 1024, "one chunk holds 1024 targets");
    let mut decoder = Decoder::random(&config, 3).unwrap();
    perturb(&decoder);
    assert_fused_is_plain(&mut decoder, &batch);
}

#[test]
fn weights_in_bf16_are_widened_block_by_block() {
    let wide = CONFIG.replace("\"vocab_size\": 97", "\"vocab_size\": 12001");
    let fresh = Decoder::random(&config(&wide), 3).unwrap();
    let dir = tempfile::tempdir().unwrap();
    save(&fresh, dir.path(), DType::BF16);
    let base = BaseModel::open_dir("saved", dir.path()).unwrap();
    let batch = batch(&[70, 9], 12001);
    let losses = [WeightPrecision::Bf16, WeightPrecision::F32].map(|precision| {
        let mut decoder = Decoder::load(&base, precision).unwrap();
        decoder.attach_lora(&lora(0.0), 4).unwrap();
        perturb(&decoder);
        assert_fused_is_plain(&mut decoder, &batch);
        run(&decoder, &batch)
    });
    for (name, expected) in &losses[1] {
        assert_close(&losses[0][name], expected, 1e-5, name);
    }
}

/// Writes the decoder with every linear layer rounded as the native engine rounds it.
fn save_rounded(decoder: &Decoder, dir: &Path, format: WeightFormat) {
    let rounded = decoder.clone();
    let linears: Vec<String> = modules(decoder.config())
        .into_iter()
        .map(|module| format!("{}.weight", module.path))
        .collect();
    for (name, parameter) in rounded.parameters() {
        let ModelParameter::Learning(var) = parameter else {
            panic!("{name} is frozen")
        };
        if linears.contains(&name) {
            let (out, width) = var.dims2().unwrap();
            let packed = WeightMatrix::from_f32(format, width, &[&values(var)]).unwrap();
            let mut wide = vec![0f32; out * width];
            for (row, values) in wide.chunks_exact_mut(width).enumerate() {
                packed.read_row(row, values);
            }
            var.set(&Tensor::from_vec(wide, (out, width), var.device()).unwrap())
                .unwrap();
        }
    }
    save(&rounded, dir, DType::F32);
}

#[test]
fn packed_weights_are_those_of_the_native_engine() {
    // Odd widths, and matrices that are expanded in more than one block.
    let wide = CONFIG.replace("\"intermediate_size\": 130", "\"intermediate_size\": 12001");
    let batch = batch(&[70, 9], 97);
    for (precision, format) in [
        (WeightPrecision::Q8, WeightFormat::Int8),
        (WeightPrecision::Q4, WeightFormat::Int4),
    ] {
        let fresh = Decoder::random(&config(&wide), 3).unwrap();
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        save(&fresh, dirs[0].path(), DType::F32);
        save_rounded(&fresh, dirs[1].path(), format);
        let precisions = [precision, WeightPrecision::F32];
        let mut decoders = [0, 1].map(|at| {
            let base = BaseModel::open_dir("saved", dirs[at].path()).unwrap();
            Decoder::load(&base, precisions[at]).unwrap()
        });
        assert!(decoders[0].weight_bytes() < decoders[1].weight_bytes() * 3 / 10);
        let runs = decoders.each_mut().map(|decoder| {
            decoder.attach_lora(&lora(0.0), 4).unwrap();
            perturb(decoder);
            assert_fused_is_plain(decoder, &batch);
            decoder.set_fused(true);
            let trained = run(decoder, &batch);
            decoder.merge_lora().unwrap();
            (
                trained,
                values(&decoder.logits_at(&batch, &[3, 75]).unwrap()),
            )
        });
        for (name, expected) in &runs[1].0 {
            assert_close(&runs[0].0[name], expected, 1e-5, name);
        }
        assert_close(&runs[0].1, &runs[1].1, 1e-5, "merged");
    }
}

#[test]
fn weights_that_no_scale_holds_are_not_packed() {
    let decoder = Decoder::random(&config(CONFIG), 3).unwrap();
    let weights = decoder.trainable().into_iter();
    let (_, var) = weights
        .filter(|(name, _)| name == "model.layers.0.mlp.down_proj.weight")
        .last()
        .unwrap();
    var.set(&(var.ones_like().unwrap() * 1e9).unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    save(&decoder, dir.path(), DType::F32);
    let base = BaseModel::open_dir("saved", dir.path()).unwrap();
    let error = Decoder::load(&base, WeightPrecision::Q4).unwrap_err();
    assert_eq!(
        (error.to_string(), error.hint()),
        (
            "tensor model.layers.0.mlp.down_proj.weight: row 0 of the weights needs scale -inf from \
             column 0 on; expected a finite half-precision number"
                .to_owned(),
            Some("set train.precision to bf16, or to f32 for the weights as they are".to_owned())
        )
    );
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let config = config(CONFIG);
    let batch = batch(&[70, 1, 130, 64, 90, 120], 97);
    let full = Decoder::random(&config, 3).unwrap();
    perturb(&full);
    let mut adapted = full.clone();
    adapted.attach_lora(&lora(0.2), 4).unwrap();
    perturb(&adapted);
    for mut decoder in [full, adapted] {
        decoder.set_training(true);
        let runs = [1, 2, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| run(&decoder, &batch))
        });
        assert_eq!(runs[0], runs[1]);
        assert_eq!(runs[0], runs[2]);
    }
}

#[test]
fn products_do_not_depend_on_the_number_of_threads() {
    for (m, n, k) in [
        (300, 257, 576),
        (1, 500, 2000),
        (2048, 8, 256),
        (33, 4096, 64),
        (700, 96, 1300),
    ] {
        let a: Vec<f32> = (0..m * k).map(wobble).collect();
        let b: Vec<f32> = (0..k * n).map(|i| wobble(i + 7)).collect();
        let product = |threads: usize, how: MatmulThreads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let mut out = vec![0f32; m * n];
            pool.install(|| {
                let (a, b) = (
                    StridedMatrix::new(&a, m, k),
                    StridedMatrix::new(&b, n, k).t(),
                );
                multiply(MatmulTarget::new(&mut out, m, n), 1.0, a, b, how);
            });
            out
        };
        let one = product(1, MatmulThreads::All);
        for threads in [2, 3, 8] {
            assert!(
                one == product(threads, MatmulThreads::All),
                "{m}x{n}x{k} on {threads} threads"
            );
        }
        let exact: f64 = (0..k).map(|i| f64::from(a[i]) * f64::from(b[i])).sum();
        assert!((f64::from(one[0]) - exact).abs() < 1e-3, "{m}x{n}x{k}");
    }
}

/// Our own kernels add in the order of the crate, whichever way the weights lie, so that a run
/// continues with either.
#[test]
fn products_have_the_bits_of_the_crate() {
    for (m, n, k) in [
        (8, 48, 64),
        (13, 576, 576),
        (70, 97, 1536),
        (64, 64, 700),
        (100, 192, 1000),
        (33, 130, 4096),
    ] {
        let a: Vec<f32> = (0..m * k).map(wobble).collect();
        let b: Vec<f32> = (0..k * n).map(|i| wobble(i + 7)).collect();
        for (by_output, adding) in [(true, false), (false, false), (true, true), (false, true)] {
            let mut found: Vec<f32> = (0..m * n).map(|i| wobble(i + 3)).collect();
            let mut expected = found.clone();
            let target = MatmulTarget::new(&mut found, m, n);
            multiply(
                if adding { target.adding() } else { target },
                1.0,
                StridedMatrix::new(&a, m, k),
                match by_output {
                    true => StridedMatrix::new(&b, n, k).t(),
                    false => StridedMatrix::new(&b, k, n),
                },
                MatmulThreads::All,
            );
            let (b_columns, b_rows) = if by_output { (k, 1) } else { (1, n) };
            // SAFETY: the strides are those of matrices that fill their vectors.
            unsafe {
                gemm::gemm(
                    m,
                    n,
                    k,
                    expected.as_mut_ptr(),
                    1,
                    n as isize,
                    adding,
                    a.as_ptr(),
                    1,
                    k as isize,
                    b.as_ptr(),
                    b_columns as isize,
                    b_rows as isize,
                    1.0f32,
                    1.0f32,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
            assert!(found == expected, "{m}x{n}x{k}, {by_output} {adding}");
        }
    }
}

#[test]
fn exponential_is_exact_to_two_units() {
    for step in -8700..8800 {
        let x = step as f32 / 100.0;
        let (found, exact) = (f64::from(numeric::exp(x)), f64::from(x).exp());
        assert!(
            (found / exact - 1.0).abs() < 2.4e-7,
            "exp({x}) = {found}, not {exact}"
        );
    }
    assert_eq!(numeric::exp(-88.0), 0.0);
    assert_eq!(numeric::exp(f32::NEG_INFINITY), 0.0);
    assert!(numeric::exp(f32::NAN).is_nan());
}

#[test]
fn a_broken_weight_shows_in_the_loss() {
    let config = config(CONFIG);
    let decoder = Decoder::random(&config, 3).unwrap();
    let (_, var) = decoder.trainable().pop().unwrap();
    var.set(&Tensor::full(f32::NAN, var.shape(), var.device()).unwrap())
        .unwrap();
    let (loss, _) = decoder.loss_sum(&batch(&[9], 97)).unwrap();
    assert!(loss.to_scalar::<f32>().unwrap().is_nan());
}

#[test]
fn dropout_noise_is_a_function_of_seed_and_counter() {
    let mut decoder = Decoder::random(&config(CONFIG), 3).unwrap();
    decoder.attach_lora(&lora(0.5), 4).unwrap();
    perturb(&decoder);
    let batch = batch(&[50], 97);
    let mut loss = |seed, counter, training| {
        decoder.set_noise(seed, counter);
        decoder.set_training(training);
        decoder
            .loss_sum(&batch)
            .unwrap()
            .0
            .to_scalar::<f32>()
            .unwrap()
    };
    assert_eq!(loss(1, 1, true), loss(1, 1, true));
    assert_ne!(loss(1, 1, true), loss(1, 2, true));
    assert_ne!(loss(1, 1, true), loss(2, 1, true));
    assert_eq!(loss(1, 1, false), loss(2, 2, false));
    assert_ne!(loss(1, 1, true), loss(1, 1, false));
}

#[test]
fn fresh_factors_depend_on_the_seed_and_change_nothing_yet() {
    let batch = batch(&[30], 97);
    let mut decoder = Decoder::random(&config(CONFIG), 3).unwrap();
    let loss = |decoder: &Decoder| {
        decoder
            .loss_sum(&batch)
            .unwrap()
            .0
            .to_scalar::<f32>()
            .unwrap()
    };
    let before = loss(&decoder);
    let mut factors = |seed| {
        decoder.attach_lora(&lora(0.0), seed).unwrap();
        assert_eq!(loss(&decoder), before);
        let all: Vec<(String, Vec<f32>)> = decoder
            .trainable()
            .into_iter()
            .map(|(name, var)| (name, values(&var)))
            .collect();
        all
    };
    let (one, same, other) = (factors(1), factors(1), factors(2));
    assert_eq!(one, same);
    assert_eq!(one.len(), 28);
    for ((name, one), (_, other)) in one.iter().zip(&other) {
        let expected_zero = name.ends_with("lora_B.weight");
        assert_eq!(one.iter().all(|x| *x == 0.0), expected_zero, "{name}");
        assert_eq!(one == other, expected_zero, "{name}");
        let bound = if name.contains("down_proj") {
            1.0 / 130f32.sqrt()
        } else {
            1.0 / 96f32.sqrt()
        };
        assert!(
            name.contains("o_proj") || one.iter().all(|x| x.abs() <= bound),
            "{name}"
        );
    }
}

#[test]
fn a_saved_decoder_is_the_same_decoder() {
    let fresh = Decoder::random(&config(CONFIG), 3).unwrap();
    perturb(&fresh);
    let dir = tempfile::tempdir().unwrap();
    save(&fresh, dir.path(), DType::F32);
    let base = BaseModel::open_dir("saved", dir.path()).unwrap();
    let read = Decoder::load(&base, WeightPrecision::F32).unwrap();
    for ((name, ours), (_, theirs)) in fresh.parameters().iter().zip(read.parameters()) {
        assert!(matches!(theirs, ModelParameter::Frozen(_)));
        assert_eq!(values(ours.tensor()), values(theirs.tensor()), "{name}");
    }
}

/// Rows of the given lengths that all start with the same `shared` tokens, the last two learned.
fn labelled(shared: usize, lengths: &[usize]) -> TokenBatch {
    let mut batch = batch(lengths, 97);
    for row in batch.offsets.windows(2) {
        for at in 0..row[1] - row[0] {
            batch.targets[row[0] + at] = at + 2 >= row[1] - row[0];
            if at < shared {
                batch.ids[row[0] + at] = (at * 5 % 97) as u32;
            }
        }
    }
    batch
}

/// Each row as a batch of its own.
fn alone(batch: &TokenBatch) -> Vec<TokenBatch> {
    let own = |row: &[usize]| {
        let range = row[0]..row[1];
        TokenBatch::from_rows([(&batch.ids[range.clone()], &batch.targets[range])])
    };
    batch.offsets.windows(2).map(own).collect()
}

#[test]
fn rows_in_one_batch_have_the_losses_and_gradients_of_rows_alone() {
    let mut decoder = Decoder::random(&config(CONFIG), 3).unwrap();
    perturb(&decoder);
    let full = decoder.clone();
    decoder.attach_lora(&lora(0.0), 4).unwrap();
    perturb(&decoder);
    // With and without a common start; with rows that end soon after it, and past the window.
    for packed in [
        labelled(0, &[70, 3, 130, 64]),
        labelled(3, &[70, 6, 130, 64]),
        labelled(17, &[70, 20, 130, 64, 19]),
        labelled(60, &[70, 63, 64, 200]),
        batch(&[70, 1, 130, 64], 97),
    ] {
        for mut decoder in [full.clone(), decoder.clone()] {
            decoder.set_training(true);
            let together = run(&decoder, &packed);
            let mut sums: BTreeMap<String, Vec<f32>> = BTreeMap::new();
            for row in alone(&packed).iter().filter(|row| row.target_count() > 0) {
                for (name, terms) in run(&decoder, row) {
                    let sums = sums.entry(name).or_insert_with(|| vec![0.0; terms.len()]);
                    sums.iter_mut()
                        .zip(terms)
                        .for_each(|(sum, term)| *sum += term);
                }
            }
            sums.remove("gradients");
            for (name, expected) in &sums {
                assert_close(&together[name], expected, 1e-5, name);
            }
            decoder.set_fused(false);
            let mut plain = run(&decoder, &packed);
            plain.remove("gradients");
            for (name, expected) in &plain {
                assert_close(&together[name], expected, 1e-4, name);
            }
        }
    }
}

#[test]
fn logits_of_a_batch_are_those_of_its_rows() {
    let mut decoder = Decoder::random(&config(CONFIG), 3).unwrap();
    perturb(&decoder);
    let packed = labelled(17, &[70, 20, 130]);
    // Unsorted, repeated, and within the common start.
    let asked = [219, 69, 5, 69, 89, 75, 0];
    let logits = |decoder: &Decoder, batch: &TokenBatch, at: &[usize]| {
        values(&decoder.logits_at(batch, at).unwrap())
    };
    for fused in [true, false] {
        decoder.set_fused(fused);
        let found = logits(&decoder, &packed, &asked);
        let rows = alone(&packed);
        for (found, at) in found.chunks(97).zip(asked) {
            let row = packed.offsets.partition_point(|offset| *offset <= at) - 1;
            let expected = logits(&decoder, &rows[row], &[at - packed.offsets[row]]);
            assert_close(found, &expected, 1e-5, &format!("position {at}"));
        }
    }
}

/// What `backward` gives: the loss and every gradient, and how many parts it came in.
fn run_backward(decoder: &Decoder, batch: &TokenBatch) -> (BTreeMap<String, Vec<f32>>, usize) {
    let trainable = decoder.trainable();
    let (mut found, mut parts) = (BTreeMap::<String, Vec<f32>>::new(), 0);
    let mut receive = |part: GradStore| {
        parts += 1;
        for (name, var) in &trainable {
            let terms = part.get(var).map(values).unwrap_or_default();
            match found.get_mut(name) {
                Some(sums) => sums
                    .iter_mut()
                    .zip(terms)
                    .for_each(|(sum, term)| *sum += term),
                None if terms.is_empty() => {}
                None => drop(found.insert(name.clone(), terms)),
            }
        }
        Ok(())
    };
    let loss = decoder.backward(batch, 0.25, &mut receive).unwrap();
    found.insert("loss".to_owned(), vec![loss as f32]);
    (found, parts)
}

#[test]
fn checkpointed_activations_give_the_same_bits() {
    let mut decoder = Decoder::random(&config(CONFIG), 3).unwrap();
    perturb(&decoder);
    let full = decoder.clone();
    decoder.attach_lora(&lora(0.3), 4).unwrap();
    perturb(&decoder);
    decoder.set_noise(11, 5);
    for (mut decoder, parts) in [(decoder, 3), (full, 4)] {
        decoder.set_training(true);
        for batch in [labelled(17, &[70, 20, 130]), batch(&[70, 1, 130], 97)] {
            decoder.set_checkpointing(false);
            let (whole, one) = run_backward(&decoder, &batch);
            decoder.set_checkpointing(true);
            let (by_block, several) = run_backward(&decoder, &batch);
            assert_eq!(
                (one, several),
                (1, parts),
                "the loss, two blocks, the embedding"
            );
            assert!(whole == by_block, "every bit of every gradient");
        }
    }
}

/// Where only factors learn, no graph is built, and the values are those of the graph.
#[test]
fn a_direct_pass_gives_the_values_of_the_graph() {
    let one = |target: &str| LoraConfig {
        targets: vec![format!("model.layers.1.{target}")],
        ..lora(0.0)
    };
    let adapters = [
        lora(0.3),
        one("self_attn.k_proj"),
        one("self_attn.o_proj"),
        one("mlp.up_proj"),
        one("mlp.down_proj"),
    ];
    for (adapter, configuration) in adapters.iter().flat_map(|it| [(it, CONFIG), (it, LLAMA)]) {
        let mut decoder = Decoder::random(&config(configuration), 3).unwrap();
        perturb(&decoder);
        decoder.attach_lora(adapter, 4).unwrap();
        perturb(&decoder);
        decoder.set_noise(11, 5);
        decoder.set_training(true);
        // Twice, so that buffers are used again; of several sizes.
        for lengths in [&[70, 20, 130][..], &[9], &[70, 20, 130], &[64, 3]] {
            for batch in [labelled(17, lengths), batch(lengths, 97)] {
                let (direct, _) = run_backward(&decoder, &batch);
                let (loss, _) = decoder.loss_sum(&batch).unwrap();
                let graph = (&loss * 0.25).unwrap().backward().unwrap();
                assert_eq!(direct["loss"], values(&loss));
                for (name, var) in decoder.trainable() {
                    let expected = graph.get(&var).map(values);
                    assert_eq!(direct.get(&name), expected.as_ref(), "{name}");
                }
            }
        }
    }
}

#[test]
fn the_backward_pass_ends_at_the_lowest_adapter() {
    let mut decoder = Decoder::random(&config(CONFIG), 3).unwrap();
    let upper = LoraConfig {
        targets: vec!["model.layers.1.self_attn.q_proj".to_owned()],
        ..lora(0.0)
    };
    decoder.attach_lora(&upper, 4).unwrap();
    decoder.set_training(true);
    decoder.set_checkpointing(true);
    let (found, parts) = run_backward(&decoder, &batch(&[30], 97));
    assert_eq!((found.len(), parts), (3, 2), "the loss and one block");
}
