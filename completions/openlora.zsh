#compdef openlora

autoload -U is-at-least

_openlora() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_openlora_commands" \
"*::: :->openlora" \
&& ret=0
    case $state in
    (openlora)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-command-$line[1]:"
        case $line[1] in
            (demo)
_arguments "${_arguments_options[@]}" : \
'--home=[Keep everything the demo makes in this folder instead of a temporary one]:DIR:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--dash[Run it with the dashboard open]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(init)
_arguments "${_arguments_options[@]}" : \
'--template=[Template to start from; asked for when left out]:NAME:_default' \
'--base=[Base model with settings for its size\: nano, a folder, a GGUF file, or a Hub id]:PATH|ID:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'(--template --base)--list[List the templates]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::dir -- Folder to write; named after the template when left out:_files' \
&& ret=0
;;
(doctor)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--bench[Measure it too\: matrix products, memory, training of the embedded base]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(data)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_openlora__subcmd__data_commands" \
"*::: :->data" \
&& ret=0

    case $state in
    (data)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-data-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
'--columns=[Columns that have other names in the files, such as text=review,label=sentiment]:LIST:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'*::files -- Data files; those of the project when left out:_files' \
&& ret=0
;;
(preview)
_arguments "${_arguments_options[@]}" : \
'--columns=[Columns that have other names in the files, such as text=review,label=sentiment]:LIST:_default' \
'--row=[Show this row only (from 1)]:N:_default' \
'--rows=[Number of rows to show]:N:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'*::files -- Data files; those of the project when left out:_files' \
&& ret=0
;;
(split)
_arguments "${_arguments_options[@]}" : \
'--columns=[Columns that have other names in the files, such as text=review,label=sentiment]:LIST:_default' \
'--out=[Folder for valid.jsonl, test.jsonl and train.jsonl, or with several files a train-NAME.jsonl for each]:DIR:_files' \
'--valid=[Share of the rows for validation]:F:_default' \
'--test=[Share of the rows for the test]:F:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--force[Overwrite files that exist]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'*::files -- Data files; those of the project when left out:_files' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__data__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-data-help-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(preview)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(split)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(train)
_arguments "${_arguments_options[@]}" : \
'--base=[Base model\: nano, pico, a folder, a GGUF file, or a Hub id]:PATH|ID:_default' \
'*--data=[Data files instead of the project'\''s]:FILE:_files' \
'--columns=[Columns that have other names in the files, such as text=review,label=sentiment]:LIST:_default' \
'--out=[Folder for the finished adapter; inside the run when left out]:DIR:_files' \
'--rank=[LoRA rank]:N:_default' \
'--alpha=[LoRA alpha; the update is scaled by alpha/rank]:N:_default' \
'--targets=[Modules to adapt\: names separated by commas, or all-linear]:LIST:_default' \
'--dropout=[Dropout before the LoRA factors]:F:_default' \
'--rank-pattern=[Modules with a rank of their own, such as q_proj=16,layers.0.mlp.down_proj=4]:LIST:_default' \
'--alpha-pattern=[Modules with an alpha of their own, such as q_proj=32]:LIST:_default' \
'--lr=[Peak learning rate]:F:_default' \
'--loraplus-lr-ratio=[Learning rate of the LoRA factors B over that of A (LoRA+)]:F:_default' \
'--schedule=[cosine, linear or constant]:NAME:_default' \
'--warmup=[Warm-up steps]:N:_default' \
'--epochs=[Passes over the data]:N:_default' \
'--max-steps=[Stop after this many steps]:N:_default' \
'--batch=[Rows per micro-batch]:N:_default' \
'--accumulate=[Micro-batches per step]:N:_default' \
'--max-len=[Longest row in tokens]:N:_default' \
'--on-long=[What becomes of longer rows\: error, truncate, drop or split]:WHAT:_default' \
'--val=[Validation\: a share of the rows, or a file]:F:_default' \
'--patience=[Stop after this many validations without gain]:N:_default' \
'--seed=[Seed of initialisation, order and dropout]:N:_default' \
'--precision=[Frozen base in memory\: f32, bf16, q8_0, q4_0 (QLoRA) or auto]:NAME:_default' \
'--resume=[Go on with an interrupted run\: the latest one, or RUN]::RUN:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--rslora[Scale by alpha/sqrt(rank)]' \
'--dora[Learn the norms of the weights'\'' rows too (DoRA); only the native engine serves such an adapter]' \
'--checkpoint-activations[Compute activations again in the backward pass\: less memory, more time]' \
'--plan[Show rows, steps, memory and time from a few steps on the rows, and train nothing]' \
'--dry-run[Show rows, steps, memory and time from a few steps on the rows, and train nothing]' \
'--no-attribution[Leave out the index that calls are attributed with]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(eval)
_arguments "${_arguments_options[@]}" : \
'--vs=[Compare with \`base\`]:WHAT:(base)' \
'--min-gain=[Fail with exit code 10 when accuracy gains less than this over the base; of pictures, when less than this part of the base'\''s loss goes away]:X:_default' \
'*--data=[Held-out files instead of the project'\''s]:FILE:_files' \
'--columns=[Columns that have other names in the files, such as text=review,label=sentiment]:LIST:_default' \
'--base=[Base model\: nano, pico, a folder, a GGUF file, or a Hub id]:PATH|ID:_default' \
'--max-len=[Longest row in tokens]:N:_default' \
'--on-long=[What becomes of longer rows\: error, truncate, drop or split]:WHAT:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::adapter -- Adapter folder or run; the latest run when left out:_files' \
&& ret=0
;;
(attribution)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_openlora__subcmd__attribution_commands" \
"*::: :->attribution" \
&& ret=0

    case $state in
    (attribution)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-attribution-command-$line[1]:"
        case $line[1] in
            (build)
_arguments "${_arguments_options[@]}" : \
'--method=[influence, datainf or gradient]:NAME:_default' \
'--base=[Base model\: nano, a folder, a GGUF file, or a Hub id]:PATH|ID:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::run -- Run to index; the latest run when left out:_default' \
&& ret=0
;;
(inspect)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::run -- Run, or the file of an index; the latest run when left out:_files' \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--rebuild[Build the index once more and compare every byte]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::run -- Run to check; the latest run when left out:_default' \
&& ret=0
;;
(audit)
_arguments "${_arguments_options[@]}" : \
'*--contributor=[Contributor to leave out; each in turn when left out]:NAME:_default' \
'--answers=[Held-out answers to compare]:N:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::run -- Run to audit; the latest run when left out:_default' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__attribution__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-attribution-help-command-$line[1]:"
        case $line[1] in
            (build)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(inspect)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(audit)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(package)
_arguments "${_arguments_options[@]}" : \
'()--adapter=[Folder of an adapter made elsewhere, in PEFT'\''s format]:DIR:_files' \
'--out=[Folder for the package; \`package\` inside the run when left out]:DIR:_files' \
'--account=[Account that signs; wallet.account when left out]:NAME:_default' \
'(--unsigned)--signing-key=[Private key in PEM for model.sig, on P-256, P-384 or P-521; the account'\''s own when left out]:FILE:_files' \
'--certificates=[Certificate of that key in PEM, and after it those of its authorities]:FILE:_files' \
'--image=[Write a container image too, an OCI layout; beside the package when no folder is given]::DIR:_files' \
'--binary=[Program for the image; this one when left out]:FILE:_files' \
'--base=[Base model\: nano, a folder, a GGUF file, or a Hub id]:PATH|ID:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'(--account)--unsigned[Leave the signature out]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::run -- Run to package, or the folder of an adapter made elsewhere; the latest run when left out:_files' \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
'--base=[Base model to compare with; what the package names when it is on this machine]:PATH|ID:_default' \
'(--policy)*--key=[Public key in PEM that must have made model.sig; repeat it for several]:FILE:_files' \
'(--policy)*--root=[Certificates in PEM of authorities, one of which must have certified the key; repeat it for several]:FILE:_files' \
'--policy=[File with the checks that must pass and the signers that are allowed]:FILE:_files' \
'--log=[Transparency log with the release\: a server, a folder, or the proof in a .tlog-proof file]:URL|DIR|FILE:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--chain[Compare the package with its registration on the network]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':package -- Folder of the package:_files' \
&& ret=0
;;
(export)
_arguments "${_arguments_options[@]}" : \
'--format=[peft\: the adapter'\''s folder; merged\: the base with the adapter added; gguf\: an adapter file of llama.cpp; diffusers\: the adapter file of diffusers, for pictures]:FORMAT:(peft merged gguf diffusers)' \
'--out=[New folder, or new file for gguf]:PATH:_files' \
'--base=[Base model\: nano, a folder, a GGUF file, or a Hub id; the adapter'\''s own when left out]:PATH|ID:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::adapter -- Package, run, or folder of an adapter; the latest run when left out:_files' \
&& ret=0
;;
(push)
_arguments "${_arguments_options[@]}" : \
'(--policy)*--key=[Public key in PEM that must have made model.sig; repeat it for several]:FILE:_files' \
'(--policy)*--root=[Certificates in PEM of authorities, one of which must have certified the key; repeat it for several]:FILE:_files' \
'--policy=[File with the checks that must pass and the signers that are allowed]:FILE:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':package -- Folder of the package:_files' \
':location -- oci\://HOST/REPOSITORY\:TAG, oci-layout\:DIR\:TAG, or dir\:PATH; the tag is latest when left out:_default' \
&& ret=0
;;
(pull)
_arguments "${_arguments_options[@]}" : \
'--out=[Copy it to this folder, too]:DIR:_files' \
'(--policy)*--key=[Public key in PEM that must have made model.sig; repeat it for several]:FILE:_files' \
'(--policy)*--root=[Certificates in PEM of authorities, one of which must have certified the key; repeat it for several]:FILE:_files' \
'--policy=[File with the checks that must pass and the signers that are allowed]:FILE:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--update[Accept that the place holds another package than when it was first pulled]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':what -- oci\://…, hf\://OWNER/NAME, https\://…, oci-layout\:DIR, dir\:PATH; or NAME@0xREGISTRY, 0xPUBLISHER/NAME@0xREGISTRY, or an adapter'\''s id:_default' \
&& ret=0
;;
(store)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_openlora__subcmd__store_commands" \
"*::: :->store" \
&& ret=0

    case $state in
    (store)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-store-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(remove)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'*::packages -- Packages\: their names, or digests of their manifests or the beginning of them:_default' \
&& ret=0
;;
(keep)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--no-longer[Let them go again]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'*::packages -- Packages\: their names, or digests of their manifests or the beginning of them:_default' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__store__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-store-help-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(remove)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(keep)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(deploy)
_arguments "${_arguments_options[@]}" : \
'--max-fee=[Most that a unit of gas may cost, in gwei]:GWEI:_default' \
'(--contracts)--server=[Address that may serve the adapter; the publisher when left out]:ADDRESS:_default' \
'(--contracts)--adapter=[Adapter to publish a version of; found by its name when left out]:ID:_default' \
'(--contracts)--uri=[Where others can pull the package, for the release to say; where it was pushed when left out]:LOCATION:_default' \
'--account=[Account that signs and pays; wallet.account when left out]:NAME:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--dry-run[Show what would be sent and what it costs, and send nothing]' \
'--contracts[Put openlora'\''s contracts on the chain instead of a package]' \
'(--contracts)--agent[Also register the adapter in the chain'\''s registry of agents (ERC-8004)]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::package -- Folder of the package; that of the latest run when left out:_files' \
&& ret=0
;;
(explore)
_arguments "${_arguments_options[@]}" : \
'--verify=[Compare this package with the registry]:PKG:_files' \
'()--from-block=[First block to look at when all adapters are listed]:N:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::adapter -- Adapter\: its id, or the name of one deployed from here; all of them when left out:_default' \
&& ret=0
;;
(earnings)
_arguments "${_arguments_options[@]}" : \
'--by=[Add a table with a row for each of these]:BY:(day adapter payer contributor)' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--csv[Print only the table, as CSV in base units; by day when --by is left out]' \
'(--csv)--audit[Hold the ledger against the chains; exit 9 when they disagree]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(dash)
_arguments "${_arguments_options[@]}" : \
'(--replay --demo)--attach=[Follow a running server instead of this home'\''s journal]:URL:_default' \
'--token-file=[File with the operator token of that server; this home'\''s own when left out]:FILE:_files' \
'(--demo)--replay=[Play a recording]:FILE:_files' \
'--speed=[How many times as fast a recording is played; 0 shows its end at once]:N:_default' \
'(--replay --demo)--record=[Write every record to a new file, for --replay]:FILE:_files' \
'--theme=[dark, light, high-contrast or mono]:NAME:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--demo[Play the recording that is compiled in]' \
'--no-animation[Let payments stand still]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(wallet)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_openlora__subcmd__wallet_commands" \
"*::: :->wallet" \
&& ret=0

    case $state in
    (wallet)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-wallet-command-$line[1]:"
        case $line[1] in
            (new)
_arguments "${_arguments_options[@]}" : \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--light-kdf[Unlock in a moment, which also makes guessing the password cheap\: for an account that holds little]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':name -- Name of the account:_default' \
&& ret=0
;;
(import)
_arguments "${_arguments_options[@]}" : \
'--from=[File with the secret, or - for standard input; typed when left out]:FILE|-:_files' \
'--path=[Derivation path of a mnemonic or on a Ledger; m/44'\''/60'\''/0'\''/0/0 when left out]:PATH:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'(--from --password-file)--ledger[Leave the key on the Ledger that is connected, and sign there]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':name -- Name of the account:_default' \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(address)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::name -- Account; wallet.account or the only one when left out:_default' \
&& ret=0
;;
(balance)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::account -- Account or address; wallet.account or the only one when left out:_default' \
&& ret=0
;;
(export)
_arguments "${_arguments_options[@]}" : \
'--out=[File for the key, readable by its owner alone, instead of standard output]:FILE:_files' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::name -- Account; wallet.account or the only one when left out:_default' \
&& ret=0
;;
(model-key)
_arguments "${_arguments_options[@]}" : \
'--out=[File for the key instead of standard output]:FILE:_files' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::name -- Account; the one that `package` signs with when left out:_default' \
&& ret=0
;;
(unlock)
_arguments "${_arguments_options[@]}" : \
'--for=[How long, such as 30m or 1h; a day at most]:TIME:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::name -- Account; wallet.account or the only one when left out:_default' \
&& ret=0
;;
(lock)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::name -- Account; all of them when left out:_default' \
&& ret=0
;;
(change-password)
_arguments "${_arguments_options[@]}" : \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--new-password-file=[File with the new password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::name -- Account; wallet.account or the only one when left out:_default' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__wallet__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-wallet-help-command-$line[1]:"
        case $line[1] in
            (new)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(import)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(address)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(balance)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(export)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(model-key)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(unlock)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(lock)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(change-password)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(serve)
_arguments "${_arguments_options[@]}" : \
'--host=[Address to listen on]:ADDRESS:_default' \
'--port=[Port to listen on; 0 takes a free one]:PORT:_default' \
'(--host --port --expose)--socket=[Listen on a socket in the file system instead; calls are free]:PATH:_files' \
'--base=[Base model\: nano, a folder, a GGUF file, or a Hub id]:PATH|ID:_default' \
'*--adapter=[Adapter to serve; repeat it for several]:NAME=PATH:_default' \
'--adapters=[Folder whose folders are adapters, packages or runs; each is served under its folder'\''s name]:DIR:_files' \
'--from-registry=[Fetch what the network'\''s registry registers when it is first called]::ADDRESS:_default' \
'--prompt-filter=[Served content filter that reads prompts for pictures before anything is charged]:NAME:_default' \
'--isolate=[Run adapters of others, or all, in jailed processes of their own]::WHICH:_default' \
'--engine=[What computes answers\: auto, mistralrs or native]:NAME:_default' \
'--parallel=[Calls that the native engine answers at once for one adapter]:N:_default' \
'--quant=[Weights in memory\: auto, f32, q8_0, q4_0 or q4k]:NAME:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--local[Listen on this machine only, and take payment on the development chain]' \
'--free[Answer without payment]' \
'--expose[Allow an address that other machines can reach]' \
'--rotate-operator-token[Make new tokens for the operator'\''s routes and for sellers that settle here]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(run)
_arguments "${_arguments_options[@]}" : \
'--base=[Base model on this machine, a folder or a GGUF file; the embedded one when left out]:PATH:_files' \
'--memory=[Memory of the container]:SIZE:_default' \
'--cpus=[Processors of the container, such as 2 or 0.5; all when left out]:N:_default' \
'--pids=[Processes and threads of the container]:N:_default' \
'(--port)--socket=[Take calls on this socket in the file system instead of a port]:PATH:_files' \
'--port=[Port to take calls on; 0 takes a free one]:PORT:_default' \
'--runtime=[What starts the container\: auto, runc, crun, youki or builtin]:NAME:_default' \
'*--waive=[Limit that may be missing if this machine cannot enforce it; repeat it for several]:LIMIT:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':target -- Folder of an image layout, or of a package:_files' \
&& ret=0
;;
(chat)
_arguments "${_arguments_options[@]}" : \
'--adapter=[Adapter to talk to; the newest run'\''s when left out]:NAME=PATH:_default' \
'--base=[Base model\: nano, a folder, a GGUF file, or a Hub id]:PATH|ID:_default' \
'--engine=[What computes answers\: auto, mistralrs or native]:NAME:_default' \
'--quant=[Weights in memory\: auto, f32, q8_0, q4_0 or q4k]:NAME:_default' \
'--system=[System message]:TEXT:_default' \
'--temperature=[Randomness; 0 is greedy]:F:_default' \
'--max-tokens=[Longest answer in tokens]:N:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(bench)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_openlora__subcmd__bench_commands" \
"*::: :->bench" \
&& ret=0

    case $state in
    (bench)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-bench-command-$line[1]:"
        case $line[1] in
            (serve)
_arguments "${_arguments_options[@]}" : \
'--base=[Base model\: nano, a folder, a GGUF file, or a Hub id]:PATH|ID:_default' \
'*--adapter=[Adapter to measure; repeat it for several. The newest run'\''s, or none, when left out]:NAME=PATH:_default' \
'--adapters=[Folder whose folders are adapters, packages or runs]:DIR:_files' \
'--engine=[What computes answers\: auto, mistralrs or native]:NAME:_default' \
'--quant=[Weights in memory\: auto, f32, q8_0, q4_0 or q4k]:NAME:_default' \
'--streams=[Most calls at the same time]:N:_default' \
'--prompt-tokens=[Tokens of each prompt, nearly]:N:_default' \
'--answer-tokens=[Tokens of each answer]:N:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__bench__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-bench-help-command-$line[1]:"
        case $line[1] in
            (serve)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(settle)
_arguments "${_arguments_options[@]}" : \
'--max-fee=[Most that a unit of gas may cost, in gwei]:GWEI:_default' \
'--account=[Account that signs and pays; wallet.account when left out]:NAME:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--dry-run[Show what would be moved, and send nothing]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(withdraw)
_arguments "${_arguments_options[@]}" : \
'--to=[Where your share goes; to the account itself when left out]:ADDRESS:_default' \
'--max-fee=[Most that a unit of gas may cost, in gwei]:GWEI:_default' \
'--account=[Account that signs and pays; wallet.account when left out]:NAME:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--dry-run[Show what would be moved, and send nothing]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(claim)
_arguments "${_arguments_options[@]}" : \
'--pool=[Contributor pool; then nothing is needed but the chain]:ADDRESS:_default' \
'--log=[Published log whose pools are meant\: a server'\''s address, or a copy of its folder]:URL|DIR:_default' \
'*--contributor=[Who is paid, repeated for several; the account itself when left out]:ADDRESS:_default' \
'--max-fee=[Most that a unit of gas may cost, in gwei]:GWEI:_default' \
'--account=[Account that signs and pays; wallet.account when left out]:NAME:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--contest[Contest what waits to take force; a quorum of the static shares refuses it]' \
'--demand[Ask the operator to propose what is unallotted; unanswered, the static shares divide it]' \
'--divide[Have the static shares divide what was demanded and not answered in time]' \
'--dry-run[Show what would be moved, and send nothing]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(audit)
_arguments "${_arguments_options[@]}" : \
'--log=[Published log\: a server'\''s address, or a copy of its folder]:URL|DIR:_default' \
'--package=[Folder of the adapter'\''s package]:PKG:_files' \
'--index=[Folder of the adapter'\''s attribution index]:DIR:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':adapter -- Adapter\: its id, or the name of one deployed from here:_default' \
&& ret=0
;;
(call)
_arguments "${_arguments_options[@]}" : \
'(--url --adapter --kind --max-tokens --temperature --system --stream --static-shares -n --pictures --size --steps --guidance --seed)--again=[Ask again for the answer to a call that was paid and not answered, with the same payment]:ID:_default' \
'--url=[Server address; the project'\''s own when left out]:URL:_default' \
'--adapter=[Adapter to call\: its name at the server; or NAME@0xREGISTRY or an adapter id, whose servers are looked up]:NAME:_default' \
'--kind=[Kind of call; what the adapter was trained for when left out]:KIND:(chat classify image)' \
'--max-price=[Most that the call may cost, in token units]:P:_default' \
'--max-deposit=[Most that the call may put into channels, in token units; as much as it may cost when left out]:P:_default' \
'--max-tokens=[Longest answer in tokens]:N:_default' \
'--temperature=[Randomness; 0 is greedy]:F:_default' \
'--system=[System message]:TEXT:_default' \
'-o+[File for a picture; several pictures have numbers before its extension]:FILE:_files' \
'--out=[File for a picture; several pictures have numbers before its extension]:FILE:_files' \
'-n+[Number of pictures]:N:_default' \
'--pictures=[Number of pictures]:N:_default' \
'--size=[Width and height of a picture in pixels, such as 64x64]:WxH:_default' \
'--steps=[Integration steps of a picture]:N:_default' \
'--guidance=[Weight of the prompt in a picture; 1 is none and takes half the work]:F:_default' \
'--seed=[Seed of a picture\: the same one gives the same picture]:N:_default' \
'--scheme=[How to pay\: from a channel, or with one transfer; what the server offers when auto]:NAME:(auto exact batch-settlement)' \
'--from=[Account that pays; wallet.account or the only one when left out]:WALLET:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--stream[Show the answer while it comes, as a terminal does anyway]' \
'--static-shares[Have contributors credited by static shares, so that no sketch of the call is published]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::prompt -- What to say, classify or draw; `-` reads standard input:_default' \
&& ret=0
;;
(search)
_arguments "${_arguments_options[@]}" : \
'--limit=[Most results]:N:_default' \
'*--discovery=[Server or facilitator whose list of paid resources is searched too; repeat it for several]:URL:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'*::text -- Words that must occur; everything when left out:_default' \
&& ret=0
;;
(proxy)
_arguments "${_arguments_options[@]}" : \
'--listen=[Address and port to listen on; port 0 takes a free one]:HOST:PORT:_default' \
'--url=[Server of plain model names; they are looked up in the registry when left out]:URL:_default' \
'--budget=[Most that all calls and deposits of this home may take in a day (UTC), in token units]:AMOUNT:_default' \
'--per-key=[Most that the calls of one caller'\''s key may cost in a day (UTC), in token units]:AMOUNT:_default' \
'--max-price=[Most that one call may cost, in token units]:AMOUNT:_default' \
'(--listen --expose --url)--new-key=[Make a key for a caller, print it once with its setting, and stop]:NAME:_default' \
'--from=[Account that pays; wallet.account or the only one when left out]:WALLET:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--expose[Allow an address that other machines can reach; callers need keys then]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(mcp)
_arguments "${_arguments_options[@]}" : \
'--url=[Server of plain model names; they are looked up in the registry when left out]:URL:_default' \
'--budget=[Most that all calls and deposits of this home may take in a day (UTC), in token units]:AMOUNT:_default' \
'--max-price=[Most that one call may cost, in token units]:AMOUNT:_default' \
'--from=[Account that pays; wallet.account or the only one when left out]:WALLET:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(channel)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_openlora__subcmd__channel_commands" \
"*::: :->channel" \
&& ret=0

    case $state in
    (channel)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-channel-command-$line[1]:"
        case $line[1] in
            (open)
_arguments "${_arguments_options[@]}" : \
'--adapter=[Adapter to call; needed when the server has several]:NAME:_default' \
'--amount=[Deposit in token units]:AMOUNT:_default' \
'--from=[Account that pays; wallet.account or the only one when left out]:WALLET:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':url -- Server address:_default' \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(topup)
_arguments "${_arguments_options[@]}" : \
'--from=[Account that pays; wallet.account or the only one when left out]:WALLET:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--amount=[Deposit in token units]:AMOUNT:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::channel -- Channel\: its id or the beginning; the only open one when left out:_default' \
&& ret=0
;;
(refund)
_arguments "${_arguments_options[@]}" : \
'--from=[Account that pays; wallet.account or the only one when left out]:WALLET:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::channel -- Channel\: its id or the beginning; the only open one when left out:_default' \
&& ret=0
;;
(withdraw)
_arguments "${_arguments_options[@]}" : \
'--from=[Account that pays; wallet.account or the only one when left out]:WALLET:_default' \
'--password-file=[File with the password, or - for standard input]:F|-:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
'::channel -- Channel\: its id or the beginning; the only open one when left out:_default' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__channel__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-channel-help-command-$line[1]:"
        case $line[1] in
            (open)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(topup)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(refund)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(withdraw)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(receipts)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_openlora__subcmd__receipts_commands" \
"*::: :->receipts" \
&& ret=0

    case $state in
    (receipts)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-receipts-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
'(--why)--proof=[File for the proof that the call is in the server'\''s transparency log]:FILE:_files' \
'--url=[Server to ask; the one that was paid, or this home'\''s own, when left out]:URL:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--why[Explain whose data shaped the answer, as its server says]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':id -- Request id of the call, or the beginning of it:_default' \
&& ret=0
;;
(pending)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(forget)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':id -- Request id of the call, or the beginning of it:_default' \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
'--url=[Server of a free call; this home'\''s own when left out]:URL:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':receipt -- Request id, the beginning of it, or a file with the receipt:_default' \
&& ret=0
;;
(replay)
_arguments "${_arguments_options[@]}" : \
'--answer=[File with the answer\: its text, a picture, or what \`openlora --json call\` printed]:FILE:_files' \
'(--body)--prompt=[File with the prompt; what the answer'\''s file or the payment store has when left out]:FILE:_files' \
'--system=[System message that was sent with the prompt]:TEXT:_default' \
'--body=[File with the JSON body that was sent]:FILE:_files' \
'--adapter=[Adapter that answered\: a folder, package or run; the run with its digest when left out]:PATH:_files' \
'--base=[Base model\: nano, a folder, a GGUF file, or a Hub id]:PATH|ID:_default' \
'--url=[Server to ask for the receipt]:URL:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':receipt -- Request id, the beginning of it, or a file with the receipt:_default' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__receipts__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-receipts-help-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(pending)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(forget)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(replay)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(log)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_openlora__subcmd__log_commands" \
"*::: :->log" \
&& ret=0

    case $state in
    (log)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-log-command-$line[1]:"
        case $line[1] in
            (head)
_arguments "${_arguments_options[@]}" : \
'--log=[Server or folder with the log; this home'\''s own when left out]:URL|DIR:_default' \
'--vkey=[Public key of the log, or a file with it]:KEY|FILE:_default' \
'--out=[File to keep the signed checkpoint in, to compare with later]:FILE:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(prove)
_arguments "${_arguments_options[@]}" : \
'--log=[Server or folder with the log; this home'\''s own when left out]:URL|DIR:_default' \
'--vkey=[Public key of the log, or a file with it]:KEY|FILE:_default' \
'--out=[File for the proof, NAME.tlog-proof; standard output when left out]:FILE:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--sealed[Leave out what only the parties of the call know]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':id -- Request id of a call, the number of a record, or the SHA-256 of a release'\''s manifest:_default' \
&& ret=0
;;
(consistency)
_arguments "${_arguments_options[@]}" : \
'--log=[Server or folder with the log; this home'\''s own when left out]:URL|DIR:_default' \
'--vkey=[Public key of the log, or a file with it]:KEY|FILE:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':from -- Earlier checkpoint\: a file, the number of entries, or SIZE\:ROOT as in an anchor:_default' \
':to -- Later checkpoint\: a file, the number of entries, or SIZE\:ROOT as in an anchor:_default' \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
'--vkey=[Public key of the log, or a file with it; this home'\''s own when left out]:KEY|FILE:_default' \
'--checkpoint=[Checkpoint that was kept, to compare with the one in the proof]:FILE:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':proof -- The .tlog-proof file:_files' \
&& ret=0
;;
(count)
_arguments "${_arguments_options[@]}" : \
'--log=[Server or folder with the log; this home'\''s own when left out]:URL|DIR:_default' \
'--vkey=[Public key of the log, or a file with it]:KEY|FILE:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__log__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-log-help-command-$line[1]:"
        case $line[1] in
            (head)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(prove)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(consistency)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(count)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(devnet)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_openlora__subcmd__devnet_commands" \
"*::: :->devnet" \
&& ret=0

    case $state in
    (devnet)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-devnet-command-$line[1]:"
        case $line[1] in
            (start)
_arguments "${_arguments_options[@]}" : \
'--chain-id=[Chain id; each has a process and a state of its own]:N:_default' \
'--port=[Port to listen on; 0 takes a free one]:PORT:_default' \
'--data=[Home of the chain'\''s folder]:DIR:_files' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--foreground[Stay in this process until Ctrl-C]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(stop)
_arguments "${_arguments_options[@]}" : \
'--chain-id=[Chain id; each has a process and a state of its own]:N:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
'--chain-id=[Chain id; each has a process and a state of its own]:N:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(reset)
_arguments "${_arguments_options[@]}" : \
'--chain-id=[Chain id; each has a process and a state of its own]:N:_default' \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__devnet__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-devnet-help-command-$line[1]:"
        case $line[1] in
            (start)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(stop)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(reset)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(config)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_openlora__subcmd__config_commands" \
"*::: :->config" \
&& ret=0

    case $state in
    (config)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-config-command-$line[1]:"
        case $line[1] in
            (show)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--origin[Say where each value comes from]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(get)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':key -- Key such as train.rank:_default' \
&& ret=0
;;
(path)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(set)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--user[Change the user'\''s file]' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':key -- Key such as train.rank:_default' \
':value -- Value as it would stand in the file; quotes may be left out:_default' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__config__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-config-help-command-$line[1]:"
        case $line[1] in
            (show)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(get)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(path)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(set)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(completions)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
':shell -- Shell to complete in:(bash elvish fish powershell zsh)' \
&& ret=0
;;
(man)
_arguments "${_arguments_options[@]}" : \
'--config=[Project file to use instead of the nearest openlora.toml]:FILE:_files' \
'--profile=[Lay the keys of \`\[profile.NAME\]\` over the project file]:NAME:_default' \
'--network=[Chain to use\: a preset such as base-sepolia, or one of the settings]:NAME:_default' \
'--color=[When to colour output]:WHEN:(auto always never)' \
'--json[Print the result as JSON; implies --no-input]' \
'(-v --verbose)-q[Say less on stderr]' \
'(-v --verbose)--quiet[Say less on stderr]' \
'*-v[Say more on stderr; twice for debugging logs]' \
'*--verbose[Say more on stderr; twice for debugging logs]' \
'--no-input[Never ask; a question becomes an error]' \
'-y[Answer every question with yes]' \
'--yes[Answer every question with yes]' \
'--offline[No network access besides this machine]' \
'--accessible[Plain lines instead of animated output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-help-command-$line[1]:"
        case $line[1] in
            (demo)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(init)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(doctor)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(data)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__help__subcmd__data_commands" \
"*::: :->data" \
&& ret=0

    case $state in
    (data)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-help-data-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(preview)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(split)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(train)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(eval)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(attribution)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__help__subcmd__attribution_commands" \
"*::: :->attribution" \
&& ret=0

    case $state in
    (attribution)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-help-attribution-command-$line[1]:"
        case $line[1] in
            (build)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(inspect)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(audit)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(package)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(export)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(push)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(pull)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(store)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__help__subcmd__store_commands" \
"*::: :->store" \
&& ret=0

    case $state in
    (store)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-help-store-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(remove)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(keep)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(deploy)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(explore)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(earnings)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(dash)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(wallet)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__help__subcmd__wallet_commands" \
"*::: :->wallet" \
&& ret=0

    case $state in
    (wallet)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-help-wallet-command-$line[1]:"
        case $line[1] in
            (new)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(import)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(address)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(balance)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(export)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(model-key)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(unlock)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(lock)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(change-password)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(serve)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(run)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(chat)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(bench)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__help__subcmd__bench_commands" \
"*::: :->bench" \
&& ret=0

    case $state in
    (bench)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-help-bench-command-$line[1]:"
        case $line[1] in
            (serve)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(settle)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(withdraw)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(claim)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(audit)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(call)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(search)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(proxy)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(mcp)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(channel)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__help__subcmd__channel_commands" \
"*::: :->channel" \
&& ret=0

    case $state in
    (channel)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-help-channel-command-$line[1]:"
        case $line[1] in
            (open)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(topup)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(refund)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(withdraw)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(receipts)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__help__subcmd__receipts_commands" \
"*::: :->receipts" \
&& ret=0

    case $state in
    (receipts)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-help-receipts-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(pending)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(forget)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(replay)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(log)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__help__subcmd__log_commands" \
"*::: :->log" \
&& ret=0

    case $state in
    (log)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-help-log-command-$line[1]:"
        case $line[1] in
            (head)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(prove)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(consistency)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(count)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(devnet)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__help__subcmd__devnet_commands" \
"*::: :->devnet" \
&& ret=0

    case $state in
    (devnet)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-help-devnet-command-$line[1]:"
        case $line[1] in
            (start)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(stop)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(reset)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(config)
_arguments "${_arguments_options[@]}" : \
":: :_openlora__subcmd__help__subcmd__config_commands" \
"*::: :->config" \
&& ret=0

    case $state in
    (config)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:openlora-help-config-command-$line[1]:"
        case $line[1] in
            (show)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(get)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(path)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(set)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(completions)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(man)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
}

(( $+functions[_openlora_commands] )) ||
_openlora_commands() {
    local commands; commands=(
'demo:Run the whole story on the embedded base model, really executed' \
'init:Write a new project from a template' \
'doctor:Check the machine\: processor, memory, disk, folders, models' \
'data:Look at training data before using it' \
'train:Train a LoRA adapter' \
'eval:Measure an adapter against its base on labelled data' \
'attribution:Build and check the index that calls are attributed with' \
'package:Write a signed package from a finished run' \
'verify:Check a package\: structure, digests, signature, base, data' \
'export:Write an adapter for other programs\: PEFT, a merged model, llama.cpp' \
'push:Put a package where others can pull it' \
'pull:Bring a package here from a registry, the Hub, a web folder, or where a chain says that it is' \
'store:List and remove the packages that were pulled' \
'deploy:Register a package in the chain'\''s registry, or publish its next version there' \
'explore:Show what the registry knows\: releases, split, servers, calls, revenue' \
'earnings:Show what calls earned\: today, 7 days, 30 days, all; pending, settled, withdrawable' \
'dash:Show calls, attribution and money live on the terminal' \
'wallet:Keep accounts in encrypted files' \
'serve:Answer calls over HTTP' \
'run:Run an adapter in a container that reads nothing else and reaches no network' \
'chat:Talk to an adapter in this terminal, without a server' \
'bench:Measure how fast this machine answers' \
'settle:Claim what calls have cost, and have it sent to the splitters' \
'withdraw:Pay out your share of the splitters, and the contributor pools'\''' \
'claim:Fetch what contributor pools owe you, with only an address, a published log and a chain' \
'audit:Compute again what a server published of an adapter'\''s calls, and hold it against the chain' \
'call:Send one call to a server, pay for it, and print the answer' \
'search:Find adapters\: price, servers, latency, calls, returning payers, evaluation' \
'proxy:Answer in OpenAI'\''s form on this machine, and pay for the calls within a budget' \
'mcp:Offer adapters to an agent as tools that pay for their calls (MCP on standard input and output)' \
'channel:Open, list, fill and empty the channels that calls are paid from' \
'receipts:Show what calls have cost, and check servers'\'' receipts' \
'log:Prove that calls are in a server'\''s transparency log, and that nothing in it was changed' \
'devnet:Run a development chain on this machine' \
'config:Show and change settings' \
'completions:Print a completion script for a shell' \
'man:Print the manual page' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora commands' commands "$@"
}
(( $+functions[_openlora__subcmd__attribution_commands] )) ||
_openlora__subcmd__attribution_commands() {
    local commands; commands=(
'build:Build the index of a finished run' \
'inspect:Show what an index was built from and what it holds' \
'verify:Hold an index against its run\: hashes, base, adapter, data; exit 9 when they disagree' \
'audit:Train without a contributor and compare with what the index says' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora attribution commands' commands "$@"
}
(( $+functions[_openlora__subcmd__attribution__subcmd__audit_commands] )) ||
_openlora__subcmd__attribution__subcmd__audit_commands() {
    local commands; commands=()
    _describe -t commands 'openlora attribution audit commands' commands "$@"
}
(( $+functions[_openlora__subcmd__attribution__subcmd__build_commands] )) ||
_openlora__subcmd__attribution__subcmd__build_commands() {
    local commands; commands=()
    _describe -t commands 'openlora attribution build commands' commands "$@"
}
(( $+functions[_openlora__subcmd__attribution__subcmd__help_commands] )) ||
_openlora__subcmd__attribution__subcmd__help_commands() {
    local commands; commands=(
'build:Build the index of a finished run' \
'inspect:Show what an index was built from and what it holds' \
'verify:Hold an index against its run\: hashes, base, adapter, data; exit 9 when they disagree' \
'audit:Train without a contributor and compare with what the index says' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora attribution help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__attribution__subcmd__help__subcmd__audit_commands] )) ||
_openlora__subcmd__attribution__subcmd__help__subcmd__audit_commands() {
    local commands; commands=()
    _describe -t commands 'openlora attribution help audit commands' commands "$@"
}
(( $+functions[_openlora__subcmd__attribution__subcmd__help__subcmd__build_commands] )) ||
_openlora__subcmd__attribution__subcmd__help__subcmd__build_commands() {
    local commands; commands=()
    _describe -t commands 'openlora attribution help build commands' commands "$@"
}
(( $+functions[_openlora__subcmd__attribution__subcmd__help__subcmd__help_commands] )) ||
_openlora__subcmd__attribution__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'openlora attribution help help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__attribution__subcmd__help__subcmd__inspect_commands] )) ||
_openlora__subcmd__attribution__subcmd__help__subcmd__inspect_commands() {
    local commands; commands=()
    _describe -t commands 'openlora attribution help inspect commands' commands "$@"
}
(( $+functions[_openlora__subcmd__attribution__subcmd__help__subcmd__verify_commands] )) ||
_openlora__subcmd__attribution__subcmd__help__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'openlora attribution help verify commands' commands "$@"
}
(( $+functions[_openlora__subcmd__attribution__subcmd__inspect_commands] )) ||
_openlora__subcmd__attribution__subcmd__inspect_commands() {
    local commands; commands=()
    _describe -t commands 'openlora attribution inspect commands' commands "$@"
}
(( $+functions[_openlora__subcmd__attribution__subcmd__verify_commands] )) ||
_openlora__subcmd__attribution__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'openlora attribution verify commands' commands "$@"
}
(( $+functions[_openlora__subcmd__audit_commands] )) ||
_openlora__subcmd__audit_commands() {
    local commands; commands=()
    _describe -t commands 'openlora audit commands' commands "$@"
}
(( $+functions[_openlora__subcmd__bench_commands] )) ||
_openlora__subcmd__bench_commands() {
    local commands; commands=(
'serve:Tokens per second, time to the first token and memory for 1 to N calls at the same time' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora bench commands' commands "$@"
}
(( $+functions[_openlora__subcmd__bench__subcmd__help_commands] )) ||
_openlora__subcmd__bench__subcmd__help_commands() {
    local commands; commands=(
'serve:Tokens per second, time to the first token and memory for 1 to N calls at the same time' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora bench help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__bench__subcmd__help__subcmd__help_commands] )) ||
_openlora__subcmd__bench__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'openlora bench help help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__bench__subcmd__help__subcmd__serve_commands] )) ||
_openlora__subcmd__bench__subcmd__help__subcmd__serve_commands() {
    local commands; commands=()
    _describe -t commands 'openlora bench help serve commands' commands "$@"
}
(( $+functions[_openlora__subcmd__bench__subcmd__serve_commands] )) ||
_openlora__subcmd__bench__subcmd__serve_commands() {
    local commands; commands=()
    _describe -t commands 'openlora bench serve commands' commands "$@"
}
(( $+functions[_openlora__subcmd__call_commands] )) ||
_openlora__subcmd__call_commands() {
    local commands; commands=()
    _describe -t commands 'openlora call commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel_commands] )) ||
_openlora__subcmd__channel_commands() {
    local commands; commands=(
'open:Put money into a new channel without a call' \
'list:List the channels as the chain has them' \
'topup:Put more money into a channel' \
'refund:Ask the server to give back what is left' \
'withdraw:Take back what is left on the chain itself, when the server is gone' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora channel commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel__subcmd__help_commands] )) ||
_openlora__subcmd__channel__subcmd__help_commands() {
    local commands; commands=(
'open:Put money into a new channel without a call' \
'list:List the channels as the chain has them' \
'topup:Put more money into a channel' \
'refund:Ask the server to give back what is left' \
'withdraw:Take back what is left on the chain itself, when the server is gone' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora channel help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel__subcmd__help__subcmd__help_commands] )) ||
_openlora__subcmd__channel__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'openlora channel help help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel__subcmd__help__subcmd__list_commands] )) ||
_openlora__subcmd__channel__subcmd__help__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'openlora channel help list commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel__subcmd__help__subcmd__open_commands] )) ||
_openlora__subcmd__channel__subcmd__help__subcmd__open_commands() {
    local commands; commands=()
    _describe -t commands 'openlora channel help open commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel__subcmd__help__subcmd__refund_commands] )) ||
_openlora__subcmd__channel__subcmd__help__subcmd__refund_commands() {
    local commands; commands=()
    _describe -t commands 'openlora channel help refund commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel__subcmd__help__subcmd__topup_commands] )) ||
_openlora__subcmd__channel__subcmd__help__subcmd__topup_commands() {
    local commands; commands=()
    _describe -t commands 'openlora channel help topup commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel__subcmd__help__subcmd__withdraw_commands] )) ||
_openlora__subcmd__channel__subcmd__help__subcmd__withdraw_commands() {
    local commands; commands=()
    _describe -t commands 'openlora channel help withdraw commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel__subcmd__list_commands] )) ||
_openlora__subcmd__channel__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'openlora channel list commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel__subcmd__open_commands] )) ||
_openlora__subcmd__channel__subcmd__open_commands() {
    local commands; commands=()
    _describe -t commands 'openlora channel open commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel__subcmd__refund_commands] )) ||
_openlora__subcmd__channel__subcmd__refund_commands() {
    local commands; commands=()
    _describe -t commands 'openlora channel refund commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel__subcmd__topup_commands] )) ||
_openlora__subcmd__channel__subcmd__topup_commands() {
    local commands; commands=()
    _describe -t commands 'openlora channel topup commands' commands "$@"
}
(( $+functions[_openlora__subcmd__channel__subcmd__withdraw_commands] )) ||
_openlora__subcmd__channel__subcmd__withdraw_commands() {
    local commands; commands=()
    _describe -t commands 'openlora channel withdraw commands' commands "$@"
}
(( $+functions[_openlora__subcmd__chat_commands] )) ||
_openlora__subcmd__chat_commands() {
    local commands; commands=()
    _describe -t commands 'openlora chat commands' commands "$@"
}
(( $+functions[_openlora__subcmd__claim_commands] )) ||
_openlora__subcmd__claim_commands() {
    local commands; commands=()
    _describe -t commands 'openlora claim commands' commands "$@"
}
(( $+functions[_openlora__subcmd__completions_commands] )) ||
_openlora__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'openlora completions commands' commands "$@"
}
(( $+functions[_openlora__subcmd__config_commands] )) ||
_openlora__subcmd__config_commands() {
    local commands; commands=(
'show:Show every setting' \
'get:Print the value of one key' \
'path:Show which files and folders are used' \
'set:Change a key in the project file, or with --user in the user'\''s own' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora config commands' commands "$@"
}
(( $+functions[_openlora__subcmd__config__subcmd__get_commands] )) ||
_openlora__subcmd__config__subcmd__get_commands() {
    local commands; commands=()
    _describe -t commands 'openlora config get commands' commands "$@"
}
(( $+functions[_openlora__subcmd__config__subcmd__help_commands] )) ||
_openlora__subcmd__config__subcmd__help_commands() {
    local commands; commands=(
'show:Show every setting' \
'get:Print the value of one key' \
'path:Show which files and folders are used' \
'set:Change a key in the project file, or with --user in the user'\''s own' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora config help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__config__subcmd__help__subcmd__get_commands] )) ||
_openlora__subcmd__config__subcmd__help__subcmd__get_commands() {
    local commands; commands=()
    _describe -t commands 'openlora config help get commands' commands "$@"
}
(( $+functions[_openlora__subcmd__config__subcmd__help__subcmd__help_commands] )) ||
_openlora__subcmd__config__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'openlora config help help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__config__subcmd__help__subcmd__path_commands] )) ||
_openlora__subcmd__config__subcmd__help__subcmd__path_commands() {
    local commands; commands=()
    _describe -t commands 'openlora config help path commands' commands "$@"
}
(( $+functions[_openlora__subcmd__config__subcmd__help__subcmd__set_commands] )) ||
_openlora__subcmd__config__subcmd__help__subcmd__set_commands() {
    local commands; commands=()
    _describe -t commands 'openlora config help set commands' commands "$@"
}
(( $+functions[_openlora__subcmd__config__subcmd__help__subcmd__show_commands] )) ||
_openlora__subcmd__config__subcmd__help__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'openlora config help show commands' commands "$@"
}
(( $+functions[_openlora__subcmd__config__subcmd__path_commands] )) ||
_openlora__subcmd__config__subcmd__path_commands() {
    local commands; commands=()
    _describe -t commands 'openlora config path commands' commands "$@"
}
(( $+functions[_openlora__subcmd__config__subcmd__set_commands] )) ||
_openlora__subcmd__config__subcmd__set_commands() {
    local commands; commands=()
    _describe -t commands 'openlora config set commands' commands "$@"
}
(( $+functions[_openlora__subcmd__config__subcmd__show_commands] )) ||
_openlora__subcmd__config__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'openlora config show commands' commands "$@"
}
(( $+functions[_openlora__subcmd__dash_commands] )) ||
_openlora__subcmd__dash_commands() {
    local commands; commands=()
    _describe -t commands 'openlora dash commands' commands "$@"
}
(( $+functions[_openlora__subcmd__data_commands] )) ||
_openlora__subcmd__data_commands() {
    local commands; commands=(
'check:Report on formats, duplicates, label balance and lengths' \
'preview:Show rows as the model sees them, learned tokens coloured' \
'split:Divide rows into train, valid and test files, the same way every time' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora data commands' commands "$@"
}
(( $+functions[_openlora__subcmd__data__subcmd__check_commands] )) ||
_openlora__subcmd__data__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'openlora data check commands' commands "$@"
}
(( $+functions[_openlora__subcmd__data__subcmd__help_commands] )) ||
_openlora__subcmd__data__subcmd__help_commands() {
    local commands; commands=(
'check:Report on formats, duplicates, label balance and lengths' \
'preview:Show rows as the model sees them, learned tokens coloured' \
'split:Divide rows into train, valid and test files, the same way every time' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora data help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__data__subcmd__help__subcmd__check_commands] )) ||
_openlora__subcmd__data__subcmd__help__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'openlora data help check commands' commands "$@"
}
(( $+functions[_openlora__subcmd__data__subcmd__help__subcmd__help_commands] )) ||
_openlora__subcmd__data__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'openlora data help help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__data__subcmd__help__subcmd__preview_commands] )) ||
_openlora__subcmd__data__subcmd__help__subcmd__preview_commands() {
    local commands; commands=()
    _describe -t commands 'openlora data help preview commands' commands "$@"
}
(( $+functions[_openlora__subcmd__data__subcmd__help__subcmd__split_commands] )) ||
_openlora__subcmd__data__subcmd__help__subcmd__split_commands() {
    local commands; commands=()
    _describe -t commands 'openlora data help split commands' commands "$@"
}
(( $+functions[_openlora__subcmd__data__subcmd__preview_commands] )) ||
_openlora__subcmd__data__subcmd__preview_commands() {
    local commands; commands=()
    _describe -t commands 'openlora data preview commands' commands "$@"
}
(( $+functions[_openlora__subcmd__data__subcmd__split_commands] )) ||
_openlora__subcmd__data__subcmd__split_commands() {
    local commands; commands=()
    _describe -t commands 'openlora data split commands' commands "$@"
}
(( $+functions[_openlora__subcmd__demo_commands] )) ||
_openlora__subcmd__demo_commands() {
    local commands; commands=()
    _describe -t commands 'openlora demo commands' commands "$@"
}
(( $+functions[_openlora__subcmd__deploy_commands] )) ||
_openlora__subcmd__deploy_commands() {
    local commands; commands=()
    _describe -t commands 'openlora deploy commands' commands "$@"
}
(( $+functions[_openlora__subcmd__devnet_commands] )) ||
_openlora__subcmd__devnet_commands() {
    local commands; commands=(
'start:Start it, or say where it runs' \
'stop:Stop it; its state stays' \
'status:Say whether it runs, where, and how much it holds' \
'reset:Delete its state and begin a new chain' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora devnet commands' commands "$@"
}
(( $+functions[_openlora__subcmd__devnet__subcmd__help_commands] )) ||
_openlora__subcmd__devnet__subcmd__help_commands() {
    local commands; commands=(
'start:Start it, or say where it runs' \
'stop:Stop it; its state stays' \
'status:Say whether it runs, where, and how much it holds' \
'reset:Delete its state and begin a new chain' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora devnet help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__devnet__subcmd__help__subcmd__help_commands] )) ||
_openlora__subcmd__devnet__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'openlora devnet help help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__devnet__subcmd__help__subcmd__reset_commands] )) ||
_openlora__subcmd__devnet__subcmd__help__subcmd__reset_commands() {
    local commands; commands=()
    _describe -t commands 'openlora devnet help reset commands' commands "$@"
}
(( $+functions[_openlora__subcmd__devnet__subcmd__help__subcmd__start_commands] )) ||
_openlora__subcmd__devnet__subcmd__help__subcmd__start_commands() {
    local commands; commands=()
    _describe -t commands 'openlora devnet help start commands' commands "$@"
}
(( $+functions[_openlora__subcmd__devnet__subcmd__help__subcmd__status_commands] )) ||
_openlora__subcmd__devnet__subcmd__help__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'openlora devnet help status commands' commands "$@"
}
(( $+functions[_openlora__subcmd__devnet__subcmd__help__subcmd__stop_commands] )) ||
_openlora__subcmd__devnet__subcmd__help__subcmd__stop_commands() {
    local commands; commands=()
    _describe -t commands 'openlora devnet help stop commands' commands "$@"
}
(( $+functions[_openlora__subcmd__devnet__subcmd__reset_commands] )) ||
_openlora__subcmd__devnet__subcmd__reset_commands() {
    local commands; commands=()
    _describe -t commands 'openlora devnet reset commands' commands "$@"
}
(( $+functions[_openlora__subcmd__devnet__subcmd__start_commands] )) ||
_openlora__subcmd__devnet__subcmd__start_commands() {
    local commands; commands=()
    _describe -t commands 'openlora devnet start commands' commands "$@"
}
(( $+functions[_openlora__subcmd__devnet__subcmd__status_commands] )) ||
_openlora__subcmd__devnet__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'openlora devnet status commands' commands "$@"
}
(( $+functions[_openlora__subcmd__devnet__subcmd__stop_commands] )) ||
_openlora__subcmd__devnet__subcmd__stop_commands() {
    local commands; commands=()
    _describe -t commands 'openlora devnet stop commands' commands "$@"
}
(( $+functions[_openlora__subcmd__doctor_commands] )) ||
_openlora__subcmd__doctor_commands() {
    local commands; commands=()
    _describe -t commands 'openlora doctor commands' commands "$@"
}
(( $+functions[_openlora__subcmd__earnings_commands] )) ||
_openlora__subcmd__earnings_commands() {
    local commands; commands=()
    _describe -t commands 'openlora earnings commands' commands "$@"
}
(( $+functions[_openlora__subcmd__eval_commands] )) ||
_openlora__subcmd__eval_commands() {
    local commands; commands=()
    _describe -t commands 'openlora eval commands' commands "$@"
}
(( $+functions[_openlora__subcmd__explore_commands] )) ||
_openlora__subcmd__explore_commands() {
    local commands; commands=()
    _describe -t commands 'openlora explore commands' commands "$@"
}
(( $+functions[_openlora__subcmd__export_commands] )) ||
_openlora__subcmd__export_commands() {
    local commands; commands=()
    _describe -t commands 'openlora export commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help_commands] )) ||
_openlora__subcmd__help_commands() {
    local commands; commands=(
'demo:Run the whole story on the embedded base model, really executed' \
'init:Write a new project from a template' \
'doctor:Check the machine\: processor, memory, disk, folders, models' \
'data:Look at training data before using it' \
'train:Train a LoRA adapter' \
'eval:Measure an adapter against its base on labelled data' \
'attribution:Build and check the index that calls are attributed with' \
'package:Write a signed package from a finished run' \
'verify:Check a package\: structure, digests, signature, base, data' \
'export:Write an adapter for other programs\: PEFT, a merged model, llama.cpp' \
'push:Put a package where others can pull it' \
'pull:Bring a package here from a registry, the Hub, a web folder, or where a chain says that it is' \
'store:List and remove the packages that were pulled' \
'deploy:Register a package in the chain'\''s registry, or publish its next version there' \
'explore:Show what the registry knows\: releases, split, servers, calls, revenue' \
'earnings:Show what calls earned\: today, 7 days, 30 days, all; pending, settled, withdrawable' \
'dash:Show calls, attribution and money live on the terminal' \
'wallet:Keep accounts in encrypted files' \
'serve:Answer calls over HTTP' \
'run:Run an adapter in a container that reads nothing else and reaches no network' \
'chat:Talk to an adapter in this terminal, without a server' \
'bench:Measure how fast this machine answers' \
'settle:Claim what calls have cost, and have it sent to the splitters' \
'withdraw:Pay out your share of the splitters, and the contributor pools'\''' \
'claim:Fetch what contributor pools owe you, with only an address, a published log and a chain' \
'audit:Compute again what a server published of an adapter'\''s calls, and hold it against the chain' \
'call:Send one call to a server, pay for it, and print the answer' \
'search:Find adapters\: price, servers, latency, calls, returning payers, evaluation' \
'proxy:Answer in OpenAI'\''s form on this machine, and pay for the calls within a budget' \
'mcp:Offer adapters to an agent as tools that pay for their calls (MCP on standard input and output)' \
'channel:Open, list, fill and empty the channels that calls are paid from' \
'receipts:Show what calls have cost, and check servers'\'' receipts' \
'log:Prove that calls are in a server'\''s transparency log, and that nothing in it was changed' \
'devnet:Run a development chain on this machine' \
'config:Show and change settings' \
'completions:Print a completion script for a shell' \
'man:Print the manual page' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__attribution_commands] )) ||
_openlora__subcmd__help__subcmd__attribution_commands() {
    local commands; commands=(
'build:Build the index of a finished run' \
'inspect:Show what an index was built from and what it holds' \
'verify:Hold an index against its run\: hashes, base, adapter, data; exit 9 when they disagree' \
'audit:Train without a contributor and compare with what the index says' \
    )
    _describe -t commands 'openlora help attribution commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__attribution__subcmd__audit_commands] )) ||
_openlora__subcmd__help__subcmd__attribution__subcmd__audit_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help attribution audit commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__attribution__subcmd__build_commands] )) ||
_openlora__subcmd__help__subcmd__attribution__subcmd__build_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help attribution build commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__attribution__subcmd__inspect_commands] )) ||
_openlora__subcmd__help__subcmd__attribution__subcmd__inspect_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help attribution inspect commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__attribution__subcmd__verify_commands] )) ||
_openlora__subcmd__help__subcmd__attribution__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help attribution verify commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__audit_commands] )) ||
_openlora__subcmd__help__subcmd__audit_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help audit commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__bench_commands] )) ||
_openlora__subcmd__help__subcmd__bench_commands() {
    local commands; commands=(
'serve:Tokens per second, time to the first token and memory for 1 to N calls at the same time' \
    )
    _describe -t commands 'openlora help bench commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__bench__subcmd__serve_commands] )) ||
_openlora__subcmd__help__subcmd__bench__subcmd__serve_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help bench serve commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__call_commands] )) ||
_openlora__subcmd__help__subcmd__call_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help call commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__channel_commands] )) ||
_openlora__subcmd__help__subcmd__channel_commands() {
    local commands; commands=(
'open:Put money into a new channel without a call' \
'list:List the channels as the chain has them' \
'topup:Put more money into a channel' \
'refund:Ask the server to give back what is left' \
'withdraw:Take back what is left on the chain itself, when the server is gone' \
    )
    _describe -t commands 'openlora help channel commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__channel__subcmd__list_commands] )) ||
_openlora__subcmd__help__subcmd__channel__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help channel list commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__channel__subcmd__open_commands] )) ||
_openlora__subcmd__help__subcmd__channel__subcmd__open_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help channel open commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__channel__subcmd__refund_commands] )) ||
_openlora__subcmd__help__subcmd__channel__subcmd__refund_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help channel refund commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__channel__subcmd__topup_commands] )) ||
_openlora__subcmd__help__subcmd__channel__subcmd__topup_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help channel topup commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__channel__subcmd__withdraw_commands] )) ||
_openlora__subcmd__help__subcmd__channel__subcmd__withdraw_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help channel withdraw commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__chat_commands] )) ||
_openlora__subcmd__help__subcmd__chat_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help chat commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__claim_commands] )) ||
_openlora__subcmd__help__subcmd__claim_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help claim commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__completions_commands] )) ||
_openlora__subcmd__help__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help completions commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__config_commands] )) ||
_openlora__subcmd__help__subcmd__config_commands() {
    local commands; commands=(
'show:Show every setting' \
'get:Print the value of one key' \
'path:Show which files and folders are used' \
'set:Change a key in the project file, or with --user in the user'\''s own' \
    )
    _describe -t commands 'openlora help config commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__config__subcmd__get_commands] )) ||
_openlora__subcmd__help__subcmd__config__subcmd__get_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help config get commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__config__subcmd__path_commands] )) ||
_openlora__subcmd__help__subcmd__config__subcmd__path_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help config path commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__config__subcmd__set_commands] )) ||
_openlora__subcmd__help__subcmd__config__subcmd__set_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help config set commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__config__subcmd__show_commands] )) ||
_openlora__subcmd__help__subcmd__config__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help config show commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__dash_commands] )) ||
_openlora__subcmd__help__subcmd__dash_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help dash commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__data_commands] )) ||
_openlora__subcmd__help__subcmd__data_commands() {
    local commands; commands=(
'check:Report on formats, duplicates, label balance and lengths' \
'preview:Show rows as the model sees them, learned tokens coloured' \
'split:Divide rows into train, valid and test files, the same way every time' \
    )
    _describe -t commands 'openlora help data commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__data__subcmd__check_commands] )) ||
_openlora__subcmd__help__subcmd__data__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help data check commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__data__subcmd__preview_commands] )) ||
_openlora__subcmd__help__subcmd__data__subcmd__preview_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help data preview commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__data__subcmd__split_commands] )) ||
_openlora__subcmd__help__subcmd__data__subcmd__split_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help data split commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__demo_commands] )) ||
_openlora__subcmd__help__subcmd__demo_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help demo commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__deploy_commands] )) ||
_openlora__subcmd__help__subcmd__deploy_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help deploy commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__devnet_commands] )) ||
_openlora__subcmd__help__subcmd__devnet_commands() {
    local commands; commands=(
'start:Start it, or say where it runs' \
'stop:Stop it; its state stays' \
'status:Say whether it runs, where, and how much it holds' \
'reset:Delete its state and begin a new chain' \
    )
    _describe -t commands 'openlora help devnet commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__devnet__subcmd__reset_commands] )) ||
_openlora__subcmd__help__subcmd__devnet__subcmd__reset_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help devnet reset commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__devnet__subcmd__start_commands] )) ||
_openlora__subcmd__help__subcmd__devnet__subcmd__start_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help devnet start commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__devnet__subcmd__status_commands] )) ||
_openlora__subcmd__help__subcmd__devnet__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help devnet status commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__devnet__subcmd__stop_commands] )) ||
_openlora__subcmd__help__subcmd__devnet__subcmd__stop_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help devnet stop commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__doctor_commands] )) ||
_openlora__subcmd__help__subcmd__doctor_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help doctor commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__earnings_commands] )) ||
_openlora__subcmd__help__subcmd__earnings_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help earnings commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__eval_commands] )) ||
_openlora__subcmd__help__subcmd__eval_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help eval commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__explore_commands] )) ||
_openlora__subcmd__help__subcmd__explore_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help explore commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__export_commands] )) ||
_openlora__subcmd__help__subcmd__export_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help export commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__help_commands] )) ||
_openlora__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__init_commands] )) ||
_openlora__subcmd__help__subcmd__init_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help init commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__log_commands] )) ||
_openlora__subcmd__help__subcmd__log_commands() {
    local commands; commands=(
'head:Show the log'\''s size and root as signed; this home'\''s own log is first brought up to date' \
'prove:Prove that an entry is in the log' \
'consistency:Prove that the log only grew between two checkpoints\: exit 9 when it did not' \
'verify:Check a proof without a network\: exit 9 when it proves nothing' \
'count:Read all entries, compare them with the signed root and count them' \
    )
    _describe -t commands 'openlora help log commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__log__subcmd__consistency_commands] )) ||
_openlora__subcmd__help__subcmd__log__subcmd__consistency_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help log consistency commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__log__subcmd__count_commands] )) ||
_openlora__subcmd__help__subcmd__log__subcmd__count_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help log count commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__log__subcmd__head_commands] )) ||
_openlora__subcmd__help__subcmd__log__subcmd__head_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help log head commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__log__subcmd__prove_commands] )) ||
_openlora__subcmd__help__subcmd__log__subcmd__prove_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help log prove commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__log__subcmd__verify_commands] )) ||
_openlora__subcmd__help__subcmd__log__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help log verify commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__man_commands] )) ||
_openlora__subcmd__help__subcmd__man_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help man commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__mcp_commands] )) ||
_openlora__subcmd__help__subcmd__mcp_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help mcp commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__package_commands] )) ||
_openlora__subcmd__help__subcmd__package_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help package commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__proxy_commands] )) ||
_openlora__subcmd__help__subcmd__proxy_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help proxy commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__pull_commands] )) ||
_openlora__subcmd__help__subcmd__pull_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help pull commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__push_commands] )) ||
_openlora__subcmd__help__subcmd__push_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help push commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__receipts_commands] )) ||
_openlora__subcmd__help__subcmd__receipts_commands() {
    local commands; commands=(
'list:List the calls that were paid from here' \
'show:Show what a call cost' \
'pending:List the calls that were paid and not answered' \
'forget:Give up the answer of a call that was paid and not answered' \
'verify:Compare a receipt with what was signed and with the chain' \
'replay:Compute a call again here and compare its answer\: exit 9, and where they differ, when they do' \
    )
    _describe -t commands 'openlora help receipts commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__receipts__subcmd__forget_commands] )) ||
_openlora__subcmd__help__subcmd__receipts__subcmd__forget_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help receipts forget commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__receipts__subcmd__list_commands] )) ||
_openlora__subcmd__help__subcmd__receipts__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help receipts list commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__receipts__subcmd__pending_commands] )) ||
_openlora__subcmd__help__subcmd__receipts__subcmd__pending_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help receipts pending commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__receipts__subcmd__replay_commands] )) ||
_openlora__subcmd__help__subcmd__receipts__subcmd__replay_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help receipts replay commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__receipts__subcmd__show_commands] )) ||
_openlora__subcmd__help__subcmd__receipts__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help receipts show commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__receipts__subcmd__verify_commands] )) ||
_openlora__subcmd__help__subcmd__receipts__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help receipts verify commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__run_commands] )) ||
_openlora__subcmd__help__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help run commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__search_commands] )) ||
_openlora__subcmd__help__subcmd__search_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help search commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__serve_commands] )) ||
_openlora__subcmd__help__subcmd__serve_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help serve commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__settle_commands] )) ||
_openlora__subcmd__help__subcmd__settle_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help settle commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__store_commands] )) ||
_openlora__subcmd__help__subcmd__store_commands() {
    local commands; commands=(
'list:List the packages with their sizes, the one that was used last first' \
'remove:Remove packages that no running process uses' \
'keep:Have packages stay when room is needed for others' \
    )
    _describe -t commands 'openlora help store commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__store__subcmd__keep_commands] )) ||
_openlora__subcmd__help__subcmd__store__subcmd__keep_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help store keep commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__store__subcmd__list_commands] )) ||
_openlora__subcmd__help__subcmd__store__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help store list commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__store__subcmd__remove_commands] )) ||
_openlora__subcmd__help__subcmd__store__subcmd__remove_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help store remove commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__train_commands] )) ||
_openlora__subcmd__help__subcmd__train_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help train commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__verify_commands] )) ||
_openlora__subcmd__help__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help verify commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__wallet_commands] )) ||
_openlora__subcmd__help__subcmd__wallet_commands() {
    local commands; commands=(
'new:Make an account with a new key' \
'import:Take over an account\: private key, mnemonic or Web3 keystore' \
'list:List the accounts' \
'address:Print an account'\''s address' \
'balance:Show what an account holds on the chain' \
'export:Reveal an account'\''s private key' \
'model-key:Print the public key with which an account signs the files of packages' \
'unlock:Let commands sign with an account for a while without its password (Linux)' \
'lock:Ask for passwords again' \
'change-password:Encrypt an account with another password' \
    )
    _describe -t commands 'openlora help wallet commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__wallet__subcmd__address_commands] )) ||
_openlora__subcmd__help__subcmd__wallet__subcmd__address_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help wallet address commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__wallet__subcmd__balance_commands] )) ||
_openlora__subcmd__help__subcmd__wallet__subcmd__balance_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help wallet balance commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__wallet__subcmd__change-password_commands] )) ||
_openlora__subcmd__help__subcmd__wallet__subcmd__change-password_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help wallet change-password commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__wallet__subcmd__export_commands] )) ||
_openlora__subcmd__help__subcmd__wallet__subcmd__export_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help wallet export commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__wallet__subcmd__import_commands] )) ||
_openlora__subcmd__help__subcmd__wallet__subcmd__import_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help wallet import commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__wallet__subcmd__list_commands] )) ||
_openlora__subcmd__help__subcmd__wallet__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help wallet list commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__wallet__subcmd__lock_commands] )) ||
_openlora__subcmd__help__subcmd__wallet__subcmd__lock_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help wallet lock commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__wallet__subcmd__model-key_commands] )) ||
_openlora__subcmd__help__subcmd__wallet__subcmd__model-key_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help wallet model-key commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__wallet__subcmd__new_commands] )) ||
_openlora__subcmd__help__subcmd__wallet__subcmd__new_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help wallet new commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__wallet__subcmd__unlock_commands] )) ||
_openlora__subcmd__help__subcmd__wallet__subcmd__unlock_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help wallet unlock commands' commands "$@"
}
(( $+functions[_openlora__subcmd__help__subcmd__withdraw_commands] )) ||
_openlora__subcmd__help__subcmd__withdraw_commands() {
    local commands; commands=()
    _describe -t commands 'openlora help withdraw commands' commands "$@"
}
(( $+functions[_openlora__subcmd__init_commands] )) ||
_openlora__subcmd__init_commands() {
    local commands; commands=()
    _describe -t commands 'openlora init commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log_commands] )) ||
_openlora__subcmd__log_commands() {
    local commands; commands=(
'head:Show the log'\''s size and root as signed; this home'\''s own log is first brought up to date' \
'prove:Prove that an entry is in the log' \
'consistency:Prove that the log only grew between two checkpoints\: exit 9 when it did not' \
'verify:Check a proof without a network\: exit 9 when it proves nothing' \
'count:Read all entries, compare them with the signed root and count them' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora log commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log__subcmd__consistency_commands] )) ||
_openlora__subcmd__log__subcmd__consistency_commands() {
    local commands; commands=()
    _describe -t commands 'openlora log consistency commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log__subcmd__count_commands] )) ||
_openlora__subcmd__log__subcmd__count_commands() {
    local commands; commands=()
    _describe -t commands 'openlora log count commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log__subcmd__head_commands] )) ||
_openlora__subcmd__log__subcmd__head_commands() {
    local commands; commands=()
    _describe -t commands 'openlora log head commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log__subcmd__help_commands] )) ||
_openlora__subcmd__log__subcmd__help_commands() {
    local commands; commands=(
'head:Show the log'\''s size and root as signed; this home'\''s own log is first brought up to date' \
'prove:Prove that an entry is in the log' \
'consistency:Prove that the log only grew between two checkpoints\: exit 9 when it did not' \
'verify:Check a proof without a network\: exit 9 when it proves nothing' \
'count:Read all entries, compare them with the signed root and count them' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora log help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log__subcmd__help__subcmd__consistency_commands] )) ||
_openlora__subcmd__log__subcmd__help__subcmd__consistency_commands() {
    local commands; commands=()
    _describe -t commands 'openlora log help consistency commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log__subcmd__help__subcmd__count_commands] )) ||
_openlora__subcmd__log__subcmd__help__subcmd__count_commands() {
    local commands; commands=()
    _describe -t commands 'openlora log help count commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log__subcmd__help__subcmd__head_commands] )) ||
_openlora__subcmd__log__subcmd__help__subcmd__head_commands() {
    local commands; commands=()
    _describe -t commands 'openlora log help head commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log__subcmd__help__subcmd__help_commands] )) ||
_openlora__subcmd__log__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'openlora log help help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log__subcmd__help__subcmd__prove_commands] )) ||
_openlora__subcmd__log__subcmd__help__subcmd__prove_commands() {
    local commands; commands=()
    _describe -t commands 'openlora log help prove commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log__subcmd__help__subcmd__verify_commands] )) ||
_openlora__subcmd__log__subcmd__help__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'openlora log help verify commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log__subcmd__prove_commands] )) ||
_openlora__subcmd__log__subcmd__prove_commands() {
    local commands; commands=()
    _describe -t commands 'openlora log prove commands' commands "$@"
}
(( $+functions[_openlora__subcmd__log__subcmd__verify_commands] )) ||
_openlora__subcmd__log__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'openlora log verify commands' commands "$@"
}
(( $+functions[_openlora__subcmd__man_commands] )) ||
_openlora__subcmd__man_commands() {
    local commands; commands=()
    _describe -t commands 'openlora man commands' commands "$@"
}
(( $+functions[_openlora__subcmd__mcp_commands] )) ||
_openlora__subcmd__mcp_commands() {
    local commands; commands=()
    _describe -t commands 'openlora mcp commands' commands "$@"
}
(( $+functions[_openlora__subcmd__package_commands] )) ||
_openlora__subcmd__package_commands() {
    local commands; commands=()
    _describe -t commands 'openlora package commands' commands "$@"
}
(( $+functions[_openlora__subcmd__proxy_commands] )) ||
_openlora__subcmd__proxy_commands() {
    local commands; commands=()
    _describe -t commands 'openlora proxy commands' commands "$@"
}
(( $+functions[_openlora__subcmd__pull_commands] )) ||
_openlora__subcmd__pull_commands() {
    local commands; commands=()
    _describe -t commands 'openlora pull commands' commands "$@"
}
(( $+functions[_openlora__subcmd__push_commands] )) ||
_openlora__subcmd__push_commands() {
    local commands; commands=()
    _describe -t commands 'openlora push commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts_commands] )) ||
_openlora__subcmd__receipts_commands() {
    local commands; commands=(
'list:List the calls that were paid from here' \
'show:Show what a call cost' \
'pending:List the calls that were paid and not answered' \
'forget:Give up the answer of a call that was paid and not answered' \
'verify:Compare a receipt with what was signed and with the chain' \
'replay:Compute a call again here and compare its answer\: exit 9, and where they differ, when they do' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora receipts commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__forget_commands] )) ||
_openlora__subcmd__receipts__subcmd__forget_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts forget commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__help_commands] )) ||
_openlora__subcmd__receipts__subcmd__help_commands() {
    local commands; commands=(
'list:List the calls that were paid from here' \
'show:Show what a call cost' \
'pending:List the calls that were paid and not answered' \
'forget:Give up the answer of a call that was paid and not answered' \
'verify:Compare a receipt with what was signed and with the chain' \
'replay:Compute a call again here and compare its answer\: exit 9, and where they differ, when they do' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora receipts help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__help__subcmd__forget_commands] )) ||
_openlora__subcmd__receipts__subcmd__help__subcmd__forget_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts help forget commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__help__subcmd__help_commands] )) ||
_openlora__subcmd__receipts__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts help help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__help__subcmd__list_commands] )) ||
_openlora__subcmd__receipts__subcmd__help__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts help list commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__help__subcmd__pending_commands] )) ||
_openlora__subcmd__receipts__subcmd__help__subcmd__pending_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts help pending commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__help__subcmd__replay_commands] )) ||
_openlora__subcmd__receipts__subcmd__help__subcmd__replay_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts help replay commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__help__subcmd__show_commands] )) ||
_openlora__subcmd__receipts__subcmd__help__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts help show commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__help__subcmd__verify_commands] )) ||
_openlora__subcmd__receipts__subcmd__help__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts help verify commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__list_commands] )) ||
_openlora__subcmd__receipts__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts list commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__pending_commands] )) ||
_openlora__subcmd__receipts__subcmd__pending_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts pending commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__replay_commands] )) ||
_openlora__subcmd__receipts__subcmd__replay_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts replay commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__show_commands] )) ||
_openlora__subcmd__receipts__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts show commands' commands "$@"
}
(( $+functions[_openlora__subcmd__receipts__subcmd__verify_commands] )) ||
_openlora__subcmd__receipts__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'openlora receipts verify commands' commands "$@"
}
(( $+functions[_openlora__subcmd__run_commands] )) ||
_openlora__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'openlora run commands' commands "$@"
}
(( $+functions[_openlora__subcmd__search_commands] )) ||
_openlora__subcmd__search_commands() {
    local commands; commands=()
    _describe -t commands 'openlora search commands' commands "$@"
}
(( $+functions[_openlora__subcmd__serve_commands] )) ||
_openlora__subcmd__serve_commands() {
    local commands; commands=()
    _describe -t commands 'openlora serve commands' commands "$@"
}
(( $+functions[_openlora__subcmd__settle_commands] )) ||
_openlora__subcmd__settle_commands() {
    local commands; commands=()
    _describe -t commands 'openlora settle commands' commands "$@"
}
(( $+functions[_openlora__subcmd__store_commands] )) ||
_openlora__subcmd__store_commands() {
    local commands; commands=(
'list:List the packages with their sizes, the one that was used last first' \
'remove:Remove packages that no running process uses' \
'keep:Have packages stay when room is needed for others' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora store commands' commands "$@"
}
(( $+functions[_openlora__subcmd__store__subcmd__help_commands] )) ||
_openlora__subcmd__store__subcmd__help_commands() {
    local commands; commands=(
'list:List the packages with their sizes, the one that was used last first' \
'remove:Remove packages that no running process uses' \
'keep:Have packages stay when room is needed for others' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora store help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__store__subcmd__help__subcmd__help_commands] )) ||
_openlora__subcmd__store__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'openlora store help help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__store__subcmd__help__subcmd__keep_commands] )) ||
_openlora__subcmd__store__subcmd__help__subcmd__keep_commands() {
    local commands; commands=()
    _describe -t commands 'openlora store help keep commands' commands "$@"
}
(( $+functions[_openlora__subcmd__store__subcmd__help__subcmd__list_commands] )) ||
_openlora__subcmd__store__subcmd__help__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'openlora store help list commands' commands "$@"
}
(( $+functions[_openlora__subcmd__store__subcmd__help__subcmd__remove_commands] )) ||
_openlora__subcmd__store__subcmd__help__subcmd__remove_commands() {
    local commands; commands=()
    _describe -t commands 'openlora store help remove commands' commands "$@"
}
(( $+functions[_openlora__subcmd__store__subcmd__keep_commands] )) ||
_openlora__subcmd__store__subcmd__keep_commands() {
    local commands; commands=()
    _describe -t commands 'openlora store keep commands' commands "$@"
}
(( $+functions[_openlora__subcmd__store__subcmd__list_commands] )) ||
_openlora__subcmd__store__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'openlora store list commands' commands "$@"
}
(( $+functions[_openlora__subcmd__store__subcmd__remove_commands] )) ||
_openlora__subcmd__store__subcmd__remove_commands() {
    local commands; commands=()
    _describe -t commands 'openlora store remove commands' commands "$@"
}
(( $+functions[_openlora__subcmd__train_commands] )) ||
_openlora__subcmd__train_commands() {
    local commands; commands=()
    _describe -t commands 'openlora train commands' commands "$@"
}
(( $+functions[_openlora__subcmd__verify_commands] )) ||
_openlora__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'openlora verify commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet_commands] )) ||
_openlora__subcmd__wallet_commands() {
    local commands; commands=(
'new:Make an account with a new key' \
'import:Take over an account\: private key, mnemonic or Web3 keystore' \
'list:List the accounts' \
'address:Print an account'\''s address' \
'balance:Show what an account holds on the chain' \
'export:Reveal an account'\''s private key' \
'model-key:Print the public key with which an account signs the files of packages' \
'unlock:Let commands sign with an account for a while without its password (Linux)' \
'lock:Ask for passwords again' \
'change-password:Encrypt an account with another password' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora wallet commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__address_commands] )) ||
_openlora__subcmd__wallet__subcmd__address_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet address commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__balance_commands] )) ||
_openlora__subcmd__wallet__subcmd__balance_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet balance commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__change-password_commands] )) ||
_openlora__subcmd__wallet__subcmd__change-password_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet change-password commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__export_commands] )) ||
_openlora__subcmd__wallet__subcmd__export_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet export commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__help_commands] )) ||
_openlora__subcmd__wallet__subcmd__help_commands() {
    local commands; commands=(
'new:Make an account with a new key' \
'import:Take over an account\: private key, mnemonic or Web3 keystore' \
'list:List the accounts' \
'address:Print an account'\''s address' \
'balance:Show what an account holds on the chain' \
'export:Reveal an account'\''s private key' \
'model-key:Print the public key with which an account signs the files of packages' \
'unlock:Let commands sign with an account for a while without its password (Linux)' \
'lock:Ask for passwords again' \
'change-password:Encrypt an account with another password' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'openlora wallet help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__help__subcmd__address_commands] )) ||
_openlora__subcmd__wallet__subcmd__help__subcmd__address_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet help address commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__help__subcmd__balance_commands] )) ||
_openlora__subcmd__wallet__subcmd__help__subcmd__balance_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet help balance commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__help__subcmd__change-password_commands] )) ||
_openlora__subcmd__wallet__subcmd__help__subcmd__change-password_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet help change-password commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__help__subcmd__export_commands] )) ||
_openlora__subcmd__wallet__subcmd__help__subcmd__export_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet help export commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__help__subcmd__help_commands] )) ||
_openlora__subcmd__wallet__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet help help commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__help__subcmd__import_commands] )) ||
_openlora__subcmd__wallet__subcmd__help__subcmd__import_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet help import commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__help__subcmd__list_commands] )) ||
_openlora__subcmd__wallet__subcmd__help__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet help list commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__help__subcmd__lock_commands] )) ||
_openlora__subcmd__wallet__subcmd__help__subcmd__lock_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet help lock commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__help__subcmd__model-key_commands] )) ||
_openlora__subcmd__wallet__subcmd__help__subcmd__model-key_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet help model-key commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__help__subcmd__new_commands] )) ||
_openlora__subcmd__wallet__subcmd__help__subcmd__new_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet help new commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__help__subcmd__unlock_commands] )) ||
_openlora__subcmd__wallet__subcmd__help__subcmd__unlock_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet help unlock commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__import_commands] )) ||
_openlora__subcmd__wallet__subcmd__import_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet import commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__list_commands] )) ||
_openlora__subcmd__wallet__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet list commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__lock_commands] )) ||
_openlora__subcmd__wallet__subcmd__lock_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet lock commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__model-key_commands] )) ||
_openlora__subcmd__wallet__subcmd__model-key_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet model-key commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__new_commands] )) ||
_openlora__subcmd__wallet__subcmd__new_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet new commands' commands "$@"
}
(( $+functions[_openlora__subcmd__wallet__subcmd__unlock_commands] )) ||
_openlora__subcmd__wallet__subcmd__unlock_commands() {
    local commands; commands=()
    _describe -t commands 'openlora wallet unlock commands' commands "$@"
}
(( $+functions[_openlora__subcmd__withdraw_commands] )) ||
_openlora__subcmd__withdraw_commands() {
    local commands; commands=()
    _describe -t commands 'openlora withdraw commands' commands "$@"
}

if [ "$funcstack[1]" = "_openlora" ]; then
    _openlora "$@"
else
    compdef _openlora openlora
fi
