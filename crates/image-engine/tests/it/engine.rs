//! The engine of pictures, over random weights.

use std::{pin::pin, task::Poll};

use openlora_diffusion::ImageAdapter;
use openlora_engine::{Engine, EngineError, ImageEngine, ImageRequest, Prompt, SamplingParams};

use crate::{
    tiny_pictures::{CAPTION, SIDE, STEPS, tiny_adapter, tiny_engine, tiny_host},
    waiting,
};

fn request(seed: u64) -> ImageRequest {
    ImageRequest {
        prompt: "a red circle".to_owned(),
        width: SIDE,
        height: SIDE,
        steps: STEPS,
        guidance: 2.0,
        seed,
    }
}

async fn pixels(engine: &dyn ImageEngine, request: ImageRequest) -> Vec<u8> {
    engine.generate_image(request).await.unwrap().picture.rgb
}

#[tokio::test]
async fn a_picture_depends_on_seed_prompt_and_settings_alone() {
    let engine = tiny_host().engine("tiny", Some(tiny_adapter(1))).unwrap();
    let first = engine.generate_image(request(7)).await.unwrap();
    assert_eq!(first.picture.rgb.len(), (SIDE * SIDE * 3) as usize);
    // Guidance evaluates the model twice in each step.
    assert_eq!(first.evaluations, u64::from(2 * STEPS));
    let alone = pixels(&engine, request(7)).await;
    assert_eq!(alone, first.picture.rgb);
    let among = futures::future::join_all((5..10).map(|seed| pixels(&engine, request(seed)))).await;
    assert_eq!(among[2], alone);
    let others = [
        request(8),
        ImageRequest {
            prompt: "a blue square".to_owned(),
            ..request(7)
        },
        ImageRequest {
            steps: STEPS + 1,
            ..request(7)
        },
        ImageRequest {
            guidance: 3.0,
            ..request(7)
        },
    ];
    for other in others {
        assert_ne!(pixels(&engine, other.clone()).await, alone, "{other:?}");
    }
    let plain = ImageRequest {
        guidance: 1.0,
        ..request(7)
    };
    let plain = engine.generate_image(plain).await.unwrap();
    assert_eq!(plain.evaluations, u64::from(STEPS));
}

#[tokio::test]
async fn one_base_makes_pictures_of_several_adapters() {
    let host = tiny_host();
    let base = host.engine("base", None).unwrap();
    let one = host.engine("one", Some(tiny_adapter(1))).unwrap();
    let two = host.engine("two", Some(tiny_adapter(2))).unwrap();
    let engines: [&dyn ImageEngine; 3] = [&base, &one, &two];
    let made = futures::future::join_all(engines.map(|it| pixels(it, request(7)))).await;
    assert!(made[0] != made[1] && made[1] != made[2] && made[0] != made[2]);
}

#[tokio::test]
async fn an_adapter_without_effect_is_refused() {
    let adapter = tiny_adapter(1);
    let zero = vec![0.0; adapter.values().len()];
    let zero: ImageAdapter = adapter.with_values(zero).unwrap();
    let refused = tiny_host().engine("dead", Some(zero)).err().unwrap();
    let expected = "cannot serve dead: the adapter changes nothing: on 2 test captions, pictures \
                    differ from the base's by at most 0e0";
    assert_eq!(refused.to_string(), expected);
}

#[tokio::test]
async fn wrong_requests_are_refused_by_name() {
    let engine = tiny_engine();
    let most = engine.image_limits().most_steps;
    let cases = [
        (
            ImageRequest {
                width: 17,
                ..request(1)
            },
            "size",
            "the model makes 16x16 pixels, found 17x16".to_owned(),
        ),
        (
            ImageRequest {
                steps: most + 1,
                ..request(1)
            },
            "steps",
            format!("steps must be from 1 to {most}, found {}", most + 1),
        ),
        (
            ImageRequest {
                guidance: 0.5,
                ..request(1)
            },
            "guidance",
            "guidance must be from 1 to 20, found 0.5".to_owned(),
        ),
        (
            ImageRequest {
                prompt: "word ".repeat(CAPTION + 1),
                ..request(1)
            },
            "prompt",
            format!(
                "the caption has {} tokens; the model reads at most {CAPTION}",
                CAPTION + 1
            ),
        ),
    ];
    for (wrong, name, expected) in cases {
        let Err(EngineError::Invalid { message, parameter }) = engine.generate_image(wrong).await
        else {
            panic!("{name} was not refused")
        };
        assert_eq!((parameter, message), (Some(name), expected));
    }
}

#[tokio::test]
async fn prompts_are_counted_and_texts_refused() {
    let engine = tiny_engine();
    let prompt = |text: &str| Prompt::Text(text.to_owned());
    let counted = engine.count_prompt(&prompt("a red circle")).await.unwrap();
    assert_eq!(counted, 3);
    // One that is too long is counted too: its refusal tells by how much.
    let long = "word ".repeat(CAPTION + 5);
    let counted = engine.count_prompt(&prompt(&long)).await.unwrap();
    assert_eq!(counted, CAPTION as u64 + 5);
    let text = engine
        .generate(prompt("hi"), SamplingParams::default())
        .await;
    let expected = "cannot serve tiny: it makes pictures, and answers with no text";
    assert_eq!(text.err().unwrap().to_string(), expected);
}

/// A dropped request leaves its turn to the next.
#[tokio::test]
async fn dropped_requests_take_no_turn() {
    let engine = tiny_engine();
    let most = engine.image_limits().most_steps;
    for _ in 0..50 {
        let long = ImageRequest {
            steps: most,
            ..request(1)
        };
        let mut begun = pin!(engine.generate_image(long));
        let begins = std::future::poll_fn(|context| {
            let first = begun.as_mut().poll(context);
            Poll::Ready(first.is_ready())
        });
        begins.await;
    }
    waiting::within("a picture after dropped ones", pixels(&engine, request(7))).await;
}
