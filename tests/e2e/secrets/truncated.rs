//! Files that another program cuts short while a server uses them: answers as before, never a
//! signal.

use crate::{
    files::{copy, cut},
    live::{Live, golden, serve_args, write_adapters},
    support::openlora,
};

/// The engine maps the weights while it loads them and has copies afterwards.
#[test]
fn a_server_answers_on_when_its_files_are_cut_short() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let base = home.path().join("base");
    copy(&golden("llama"), &base);
    let args: Vec<String> = serve_args(0)
        .into_iter()
        .map(|it| match it == golden("llama").display().to_string() {
            true => base.display().to_string(),
            false => it,
        })
        .collect();
    let server = Live::of(openlora(home.path()).args(args.iter().map(String::as_str)));
    let ask = || {
        // Greedy, so that the same weights give the same answer.
        let args = [
            "call",
            "hello there",
            "--temperature",
            "0",
            "--adapter",
            "persona",
            "--url",
            &server.url,
        ];
        openlora(home.path()).args(args).run().succeeds().stdout
    };
    let before = ask();
    for file in [
        "base/model.safetensors",
        "persona/adapter_model.safetensors",
    ] {
        cut(&home.path().join(file));
    }
    assert_eq!(ask(), before);
    assert_eq!(server.drain().0, 0);
}
