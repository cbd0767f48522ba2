# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_openlora_global_optspecs
    string join \n config= profile= network= json q/quiet v/verbose color= no-input y/yes offline accessible h/help V/version
end

function __fish_openlora_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_openlora_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_openlora_using_subcommand
    set -l cmd (__fish_openlora_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c openlora -n "__fish_openlora_needs_command" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_needs_command" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_needs_command" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_needs_command" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_needs_command" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_needs_command" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_needs_command" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_needs_command" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_needs_command" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_needs_command" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_needs_command" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_needs_command" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_needs_command" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "demo" -d 'Run the whole story on the embedded base model, really executed'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "init" -d 'Write a new project from a template'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "doctor" -d 'Check the machine: processor, memory, disk, folders, models'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "data" -d 'Look at training data before using it'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "train" -d 'Train a LoRA adapter'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "eval" -d 'Measure an adapter against its base on labelled data'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "attribution" -d 'Build and check the index that calls are attributed with'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "package" -d 'Write a signed package from a finished run'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "verify" -d 'Check a package: structure, digests, signature, base, data'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "export" -d 'Write an adapter for other programs: PEFT, a merged model, llama.cpp'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "push" -d 'Put a package where others can pull it'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "pull" -d 'Bring a package here from a registry, the Hub, a web folder, or where a chain says that it is'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "store" -d 'List and remove the packages that were pulled'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "deploy" -d 'Register a package in the chain\'s registry, or publish its next version there'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "explore" -d 'Show what the registry knows: releases, split, servers, calls, revenue'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "earnings" -d 'Show what calls earned: today, 7 days, 30 days, all; pending, settled, withdrawable'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "dash" -d 'Show calls, attribution and money live on the terminal'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "wallet" -d 'Keep accounts in encrypted files'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "serve" -d 'Answer calls over HTTP'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "run" -d 'Run an adapter in a container that reads nothing else and reaches no network'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "chat" -d 'Talk to an adapter in this terminal, without a server'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "bench" -d 'Measure how fast this machine answers'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "settle" -d 'Claim what calls have cost, and have it sent to the splitters'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "withdraw" -d 'Pay out your share of the splitters, and the contributor pools\''
complete -c openlora -n "__fish_openlora_needs_command" -f -a "claim" -d 'Fetch what contributor pools owe you, with only an address, a published log and a chain'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "audit" -d 'Compute again what a server published of an adapter\'s calls, and hold it against the chain'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "call" -d 'Send one call to a server, pay for it, and print the answer'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "search" -d 'Find adapters: price, servers, latency, calls, returning payers, evaluation'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "proxy" -d 'Answer in OpenAI\'s form on this machine, and pay for the calls within a budget'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "mcp" -d 'Offer adapters to an agent as tools that pay for their calls (MCP on standard input and output)'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "channel" -d 'Open, list, fill and empty the channels that calls are paid from'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "receipts" -d 'Show what calls have cost, and check servers\' receipts'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "log" -d 'Prove that calls are in a server\'s transparency log, and that nothing in it was changed'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "devnet" -d 'Run a development chain on this machine'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "config" -d 'Show and change settings'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "man" -d 'Print the manual page'
complete -c openlora -n "__fish_openlora_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand demo" -l home -d 'Keep everything the demo makes in this folder instead of a temporary one' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand demo" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand demo" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand demo" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand demo" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand demo" -l dash -d 'Run it with the dashboard open'
complete -c openlora -n "__fish_openlora_using_subcommand demo" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand demo" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand demo" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand demo" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand demo" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand demo" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand demo" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand demo" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand demo" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand init" -l template -d 'Template to start from; asked for when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand init" -l base -d 'Base model with settings for its size: nano, a folder, a GGUF file, or a Hub id' -r
complete -c openlora -n "__fish_openlora_using_subcommand init" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand init" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand init" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand init" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand init" -l list -d 'List the templates'
complete -c openlora -n "__fish_openlora_using_subcommand init" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand init" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand init" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand init" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand init" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand init" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand init" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand init" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand init" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -l bench -d 'Measure it too: matrix products, memory, training of the embedded base'
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand doctor" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -f -a "check" -d 'Report on formats, duplicates, label balance and lengths'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -f -a "preview" -d 'Show rows as the model sees them, learned tokens coloured'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -f -a "split" -d 'Divide rows into train, valid and test files, the same way every time'
complete -c openlora -n "__fish_openlora_using_subcommand data; and not __fish_seen_subcommand_from check preview split help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -l columns -d 'Columns that have other names in the files, such as text=review,label=sentiment' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -l columns -d 'Columns that have other names in the files, such as text=review,label=sentiment' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -l row -d 'Show this row only (from 1)' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -l rows -d 'Number of rows to show' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from preview" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l columns -d 'Columns that have other names in the files, such as text=review,label=sentiment' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l out -d 'Folder for valid.jsonl, test.jsonl and train.jsonl, or with several files a train-NAME.jsonl for each' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l valid -d 'Share of the rows for validation' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l test -d 'Share of the rows for the test' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l force -d 'Overwrite files that exist'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from split" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from help" -f -a "check" -d 'Report on formats, duplicates, label balance and lengths'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from help" -f -a "preview" -d 'Show rows as the model sees them, learned tokens coloured'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from help" -f -a "split" -d 'Divide rows into train, valid and test files, the same way every time'
complete -c openlora -n "__fish_openlora_using_subcommand data; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand train" -l base -d 'Base model: nano, pico, a folder, a GGUF file, or a Hub id' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l data -d 'Data files instead of the project\'s' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand train" -l columns -d 'Columns that have other names in the files, such as text=review,label=sentiment' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l out -d 'Folder for the finished adapter; inside the run when left out' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand train" -l rank -d 'LoRA rank' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l alpha -d 'LoRA alpha; the update is scaled by alpha/rank' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l targets -d 'Modules to adapt: names separated by commas, or all-linear' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l dropout -d 'Dropout before the LoRA factors' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l rank-pattern -d 'Modules with a rank of their own, such as q_proj=16,layers.0.mlp.down_proj=4' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l alpha-pattern -d 'Modules with an alpha of their own, such as q_proj=32' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l lr -d 'Peak learning rate' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l loraplus-lr-ratio -d 'Learning rate of the LoRA factors B over that of A (LoRA+)' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l schedule -d 'cosine, linear or constant' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l warmup -d 'Warm-up steps' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l epochs -d 'Passes over the data' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l max-steps -d 'Stop after this many steps' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l batch -d 'Rows per micro-batch' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l accumulate -d 'Micro-batches per step' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l max-len -d 'Longest row in tokens' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l on-long -d 'What becomes of longer rows: error, truncate, drop or split' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l val -d 'Validation: a share of the rows, or a file' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l patience -d 'Stop after this many validations without gain' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l seed -d 'Seed of initialisation, order and dropout' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l precision -d 'Frozen base in memory: f32, bf16, q8_0, q4_0 (QLoRA) or auto' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l resume -d 'Go on with an interrupted run: the latest one, or RUN' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand train" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand train" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand train" -l rslora -d 'Scale by alpha/sqrt(rank)'
complete -c openlora -n "__fish_openlora_using_subcommand train" -l dora -d 'Learn the norms of the weights\' rows too (DoRA); only the native engine serves such an adapter'
complete -c openlora -n "__fish_openlora_using_subcommand train" -l checkpoint-activations -d 'Compute activations again in the backward pass: less memory, more time'
complete -c openlora -n "__fish_openlora_using_subcommand train" -l plan -l dry-run -d 'Show rows, steps, memory and time from a few steps on the rows, and train nothing'
complete -c openlora -n "__fish_openlora_using_subcommand train" -l no-attribution -d 'Leave out the index that calls are attributed with'
complete -c openlora -n "__fish_openlora_using_subcommand train" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand train" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand train" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand train" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand train" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand train" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand train" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand train" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand train" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l vs -d 'Compare with `base`' -r -f -a "base\t''"
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l min-gain -d 'Fail with exit code 10 when accuracy gains less than this over the base; of pictures, when less than this part of the base\'s loss goes away' -r
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l data -d 'Held-out files instead of the project\'s' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l columns -d 'Columns that have other names in the files, such as text=review,label=sentiment' -r
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l base -d 'Base model: nano, pico, a folder, a GGUF file, or a Hub id' -r
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l max-len -d 'Longest row in tokens' -r
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l on-long -d 'What becomes of longer rows: error, truncate, drop or split' -r
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand eval" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand eval" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand eval" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand eval" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand eval" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand eval" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -f -a "build" -d 'Build the index of a finished run'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -f -a "inspect" -d 'Show what an index was built from and what it holds'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -f -a "verify" -d 'Hold an index against its run: hashes, base, adapter, data; exit 9 when they disagree'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -f -a "audit" -d 'Train without a contributor and compare with what the index says'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and not __fish_seen_subcommand_from build inspect verify audit help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -l method -d 'influence, datainf or gradient' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -l base -d 'Base model: nano, a folder, a GGUF file, or a Hub id' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from build" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from inspect" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -l rebuild -d 'Build the index once more and compare every byte'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from verify" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -l contributor -d 'Contributor to leave out; each in turn when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -l answers -d 'Held-out answers to compare' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from audit" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from help" -f -a "build" -d 'Build the index of a finished run'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show what an index was built from and what it holds'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Hold an index against its run: hashes, base, adapter, data; exit 9 when they disagree'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from help" -f -a "audit" -d 'Train without a contributor and compare with what the index says'
complete -c openlora -n "__fish_openlora_using_subcommand attribution; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand package" -l adapter -d 'Folder of an adapter made elsewhere, in PEFT\'s format' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand package" -l out -d 'Folder for the package; `package` inside the run when left out' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand package" -l account -d 'Account that signs; wallet.account when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand package" -l signing-key -d 'Private key in PEM for model.sig, on P-256, P-384 or P-521; the account\'s own when left out' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand package" -l certificates -d 'Certificate of that key in PEM, and after it those of its authorities' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand package" -l image -d 'Write a container image too, an OCI layout; beside the package when no folder is given' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand package" -l binary -d 'Program for the image; this one when left out' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand package" -l base -d 'Base model: nano, a folder, a GGUF file, or a Hub id' -r
complete -c openlora -n "__fish_openlora_using_subcommand package" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand package" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand package" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand package" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand package" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand package" -l unsigned -d 'Leave the signature out'
complete -c openlora -n "__fish_openlora_using_subcommand package" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand package" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand package" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand package" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand package" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand package" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand package" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand package" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand package" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l base -d 'Base model to compare with; what the package names when it is on this machine' -r
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l key -d 'Public key in PEM that must have made model.sig; repeat it for several' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l root -d 'Certificates in PEM of authorities, one of which must have certified the key; repeat it for several' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l policy -d 'File with the checks that must pass and the signers that are allowed' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l log -d 'Transparency log with the release: a server, a folder, or the proof in a .tlog-proof file' -r
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l chain -d 'Compare the package with its registration on the network'
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand verify" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand verify" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand verify" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand verify" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand verify" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand verify" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand export" -l format -d 'peft: the adapter\'s folder; merged: the base with the adapter added; gguf: an adapter file of llama.cpp; diffusers: the adapter file of diffusers, for pictures' -r -f -a "peft\t''
merged\t''
gguf\t''
diffusers\t''"
complete -c openlora -n "__fish_openlora_using_subcommand export" -l out -d 'New folder, or new file for gguf' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand export" -l base -d 'Base model: nano, a folder, a GGUF file, or a Hub id; the adapter\'s own when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand export" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand export" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand export" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand export" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand export" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand export" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand export" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand export" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand export" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand export" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand export" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand export" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand export" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand push" -l key -d 'Public key in PEM that must have made model.sig; repeat it for several' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand push" -l root -d 'Certificates in PEM of authorities, one of which must have certified the key; repeat it for several' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand push" -l policy -d 'File with the checks that must pass and the signers that are allowed' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand push" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand push" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand push" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand push" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand push" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand push" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand push" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand push" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand push" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand push" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand push" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand push" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand push" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l out -d 'Copy it to this folder, too' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l key -d 'Public key in PEM that must have made model.sig; repeat it for several' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l root -d 'Certificates in PEM of authorities, one of which must have certified the key; repeat it for several' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l policy -d 'File with the checks that must pass and the signers that are allowed' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l update -d 'Accept that the place holds another package than when it was first pulled'
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand pull" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand pull" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand pull" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand pull" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand pull" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand pull" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -f -a "list" -d 'List the packages with their sizes, the one that was used last first'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -f -a "remove" -d 'Remove packages that no running process uses'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -f -a "keep" -d 'Have packages stay when room is needed for others'
complete -c openlora -n "__fish_openlora_using_subcommand store; and not __fish_seen_subcommand_from list remove keep help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from remove" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -l no-longer -d 'Let them go again'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from keep" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the packages with their sizes, the one that was used last first'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove packages that no running process uses'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "keep" -d 'Have packages stay when room is needed for others'
complete -c openlora -n "__fish_openlora_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l max-fee -d 'Most that a unit of gas may cost, in gwei' -r
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l server -d 'Address that may serve the adapter; the publisher when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l adapter -d 'Adapter to publish a version of; found by its name when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l uri -d 'Where others can pull the package, for the release to say; where it was pushed when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l account -d 'Account that signs and pays; wallet.account when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l dry-run -d 'Show what would be sent and what it costs, and send nothing'
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l contracts -d 'Put openlora\'s contracts on the chain instead of a package'
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l agent -d 'Also register the adapter in the chain\'s registry of agents (ERC-8004)'
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand deploy" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand explore" -l verify -d 'Compare this package with the registry' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand explore" -l from-block -d 'First block to look at when all adapters are listed' -r
complete -c openlora -n "__fish_openlora_using_subcommand explore" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand explore" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand explore" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand explore" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand explore" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand explore" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand explore" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand explore" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand explore" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand explore" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand explore" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand explore" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand explore" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -l by -d 'Add a table with a row for each of these' -r -f -a "day\t''
adapter\t''
payer\t''
contributor\t''"
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -l csv -d 'Print only the table, as CSV in base units; by day when --by is left out'
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -l audit -d 'Hold the ledger against the chains; exit 9 when they disagree'
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand earnings" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l attach -d 'Follow a running server instead of this home\'s journal' -r
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l token-file -d 'File with the operator token of that server; this home\'s own when left out' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l replay -d 'Play a recording' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l speed -d 'How many times as fast a recording is played; 0 shows its end at once' -r
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l record -d 'Write every record to a new file, for --replay' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l theme -d 'dark, light, high-contrast or mono' -r
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l demo -d 'Play the recording that is compiled in'
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l no-animation -d 'Let payments stand still'
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand dash" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand dash" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand dash" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand dash" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand dash" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand dash" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -f -a "new" -d 'Make an account with a new key'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -f -a "import" -d 'Take over an account: private key, mnemonic or Web3 keystore'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -f -a "list" -d 'List the accounts'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -f -a "address" -d 'Print an account\'s address'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -f -a "balance" -d 'Show what an account holds on the chain'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -f -a "export" -d 'Reveal an account\'s private key'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -f -a "model-key" -d 'Print the public key with which an account signs the files of packages'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -f -a "unlock" -d 'Let commands sign with an account for a while without its password (Linux)'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -f -a "lock" -d 'Ask for passwords again'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -f -a "change-password" -d 'Encrypt an account with another password'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and not __fish_seen_subcommand_from new import list address balance export model-key unlock lock change-password help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -l light-kdf -d 'Unlock in a moment, which also makes guessing the password cheap: for an account that holds little'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from new" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -l from -d 'File with the secret, or - for standard input; typed when left out' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -l path -d 'Derivation path of a mnemonic or on a Ledger; m/44\'/60\'/0\'/0/0 when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -l ledger -d 'Leave the key on the Ledger that is connected, and sign there'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from import" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from address" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from balance" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -l out -d 'File for the key, readable by its owner alone, instead of standard output' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from export" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -l out -d 'File for the key instead of standard output' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from model-key" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -l for -d 'How long, such as 30m or 1h; a day at most' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from unlock" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from lock" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -l new-password-file -d 'File with the new password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from change-password" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from help" -f -a "new" -d 'Make an account with a new key'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from help" -f -a "import" -d 'Take over an account: private key, mnemonic or Web3 keystore'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the accounts'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from help" -f -a "address" -d 'Print an account\'s address'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from help" -f -a "balance" -d 'Show what an account holds on the chain'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from help" -f -a "export" -d 'Reveal an account\'s private key'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from help" -f -a "model-key" -d 'Print the public key with which an account signs the files of packages'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from help" -f -a "unlock" -d 'Let commands sign with an account for a while without its password (Linux)'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from help" -f -a "lock" -d 'Ask for passwords again'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from help" -f -a "change-password" -d 'Encrypt an account with another password'
complete -c openlora -n "__fish_openlora_using_subcommand wallet; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l host -d 'Address to listen on' -r
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l port -d 'Port to listen on; 0 takes a free one' -r
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l socket -d 'Listen on a socket in the file system instead; calls are free' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l base -d 'Base model: nano, a folder, a GGUF file, or a Hub id' -r
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l adapter -d 'Adapter to serve; repeat it for several' -r
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l adapters -d 'Folder whose folders are adapters, packages or runs; each is served under its folder\'s name' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l from-registry -d 'Fetch what the network\'s registry registers when it is first called' -r
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l prompt-filter -d 'Served content filter that reads prompts for pictures before anything is charged' -r
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l isolate -d 'Run adapters of others, or all, in jailed processes of their own' -r
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l engine -d 'What computes answers: auto, mistralrs or native' -r
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l parallel -d 'Calls that the native engine answers at once for one adapter' -r
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l quant -d 'Weights in memory: auto, f32, q8_0, q4_0 or q4k' -r
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l local -d 'Listen on this machine only, and take payment on the development chain'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l free -d 'Answer without payment'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l expose -d 'Allow an address that other machines can reach'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l rotate-operator-token -d 'Make new tokens for the operator\'s routes and for sellers that settle here'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand serve" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand run" -l base -d 'Base model on this machine, a folder or a GGUF file; the embedded one when left out' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand run" -l memory -d 'Memory of the container' -r
complete -c openlora -n "__fish_openlora_using_subcommand run" -l cpus -d 'Processors of the container, such as 2 or 0.5; all when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand run" -l pids -d 'Processes and threads of the container' -r
complete -c openlora -n "__fish_openlora_using_subcommand run" -l socket -d 'Take calls on this socket in the file system instead of a port' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand run" -l port -d 'Port to take calls on; 0 takes a free one' -r
complete -c openlora -n "__fish_openlora_using_subcommand run" -l runtime -d 'What starts the container: auto, runc, crun, youki or builtin' -r
complete -c openlora -n "__fish_openlora_using_subcommand run" -l waive -d 'Limit that may be missing if this machine cannot enforce it; repeat it for several' -r
complete -c openlora -n "__fish_openlora_using_subcommand run" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand run" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand run" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand run" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand run" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand run" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand run" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand run" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand run" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand run" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand run" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand run" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand run" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l adapter -d 'Adapter to talk to; the newest run\'s when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l base -d 'Base model: nano, a folder, a GGUF file, or a Hub id' -r
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l engine -d 'What computes answers: auto, mistralrs or native' -r
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l quant -d 'Weights in memory: auto, f32, q8_0, q4_0 or q4k' -r
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l system -d 'System message' -r
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l temperature -d 'Randomness; 0 is greedy' -r
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l max-tokens -d 'Longest answer in tokens' -r
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand chat" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand chat" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand chat" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand chat" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand chat" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand chat" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -f -a "serve" -d 'Tokens per second, time to the first token and memory for 1 to N calls at the same time'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and not __fish_seen_subcommand_from serve help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l base -d 'Base model: nano, a folder, a GGUF file, or a Hub id' -r
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l adapter -d 'Adapter to measure; repeat it for several. The newest run\'s, or none, when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l adapters -d 'Folder whose folders are adapters, packages or runs' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l engine -d 'What computes answers: auto, mistralrs or native' -r
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l quant -d 'Weights in memory: auto, f32, q8_0, q4_0 or q4k' -r
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l streams -d 'Most calls at the same time' -r
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l prompt-tokens -d 'Tokens of each prompt, nearly' -r
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l answer-tokens -d 'Tokens of each answer' -r
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from serve" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from help" -f -a "serve" -d 'Tokens per second, time to the first token and memory for 1 to N calls at the same time'
complete -c openlora -n "__fish_openlora_using_subcommand bench; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand settle" -l max-fee -d 'Most that a unit of gas may cost, in gwei' -r
complete -c openlora -n "__fish_openlora_using_subcommand settle" -l account -d 'Account that signs and pays; wallet.account when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand settle" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand settle" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand settle" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand settle" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand settle" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand settle" -l dry-run -d 'Show what would be moved, and send nothing'
complete -c openlora -n "__fish_openlora_using_subcommand settle" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand settle" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand settle" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand settle" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand settle" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand settle" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand settle" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand settle" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand settle" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l to -d 'Where your share goes; to the account itself when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l max-fee -d 'Most that a unit of gas may cost, in gwei' -r
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l account -d 'Account that signs and pays; wallet.account when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l dry-run -d 'Show what would be moved, and send nothing'
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand withdraw" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l pool -d 'Contributor pool; then nothing is needed but the chain' -r
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l log -d 'Published log whose pools are meant: a server\'s address, or a copy of its folder' -r
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l contributor -d 'Who is paid, repeated for several; the account itself when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l max-fee -d 'Most that a unit of gas may cost, in gwei' -r
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l account -d 'Account that signs and pays; wallet.account when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l contest -d 'Contest what waits to take force; a quorum of the static shares refuses it'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l demand -d 'Ask the operator to propose what is unallotted; unanswered, the static shares divide it'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l divide -d 'Have the static shares divide what was demanded and not answered in time'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l dry-run -d 'Show what would be moved, and send nothing'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand claim" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand audit" -l log -d 'Published log: a server\'s address, or a copy of its folder' -r
complete -c openlora -n "__fish_openlora_using_subcommand audit" -l package -d 'Folder of the adapter\'s package' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand audit" -l index -d 'Folder of the adapter\'s attribution index' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand audit" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand audit" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand audit" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand audit" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand audit" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand audit" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand audit" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand audit" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand audit" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand audit" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand audit" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand audit" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand audit" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand call" -l again -d 'Ask again for the answer to a call that was paid and not answered, with the same payment' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l url -d 'Server address; the project\'s own when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l adapter -d 'Adapter to call: its name at the server; or NAME@0xREGISTRY or an adapter id, whose servers are looked up' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l kind -d 'Kind of call; what the adapter was trained for when left out' -r -f -a "chat\t''
classify\t''
image\t''"
complete -c openlora -n "__fish_openlora_using_subcommand call" -l max-price -d 'Most that the call may cost, in token units' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l max-deposit -d 'Most that the call may put into channels, in token units; as much as it may cost when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l max-tokens -d 'Longest answer in tokens' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l temperature -d 'Randomness; 0 is greedy' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l system -d 'System message' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -s o -l out -d 'File for a picture; several pictures have numbers before its extension' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand call" -s n -l pictures -d 'Number of pictures' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l size -d 'Width and height of a picture in pixels, such as 64x64' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l steps -d 'Integration steps of a picture' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l guidance -d 'Weight of the prompt in a picture; 1 is none and takes half the work' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l seed -d 'Seed of a picture: the same one gives the same picture' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l scheme -d 'How to pay: from a channel, or with one transfer; what the server offers when auto' -r -f -a "auto\t''
exact\t''
batch-settlement\t''"
complete -c openlora -n "__fish_openlora_using_subcommand call" -l from -d 'Account that pays; wallet.account or the only one when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand call" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand call" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand call" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand call" -l stream -d 'Show the answer while it comes, as a terminal does anyway'
complete -c openlora -n "__fish_openlora_using_subcommand call" -l static-shares -d 'Have contributors credited by static shares, so that no sketch of the call is published'
complete -c openlora -n "__fish_openlora_using_subcommand call" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand call" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand call" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand call" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand call" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand call" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand call" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand call" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand call" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand search" -l limit -d 'Most results' -r
complete -c openlora -n "__fish_openlora_using_subcommand search" -l discovery -d 'Server or facilitator whose list of paid resources is searched too; repeat it for several' -r
complete -c openlora -n "__fish_openlora_using_subcommand search" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand search" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand search" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand search" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand search" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand search" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand search" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand search" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand search" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand search" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand search" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand search" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand search" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l listen -d 'Address and port to listen on; port 0 takes a free one' -r
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l url -d 'Server of plain model names; they are looked up in the registry when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l budget -d 'Most that all calls and deposits of this home may take in a day (UTC), in token units' -r
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l per-key -d 'Most that the calls of one caller\'s key may cost in a day (UTC), in token units' -r
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l max-price -d 'Most that one call may cost, in token units' -r
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l new-key -d 'Make a key for a caller, print it once with its setting, and stop' -r
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l from -d 'Account that pays; wallet.account or the only one when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l expose -d 'Allow an address that other machines can reach; callers need keys then'
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand proxy" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l url -d 'Server of plain model names; they are looked up in the registry when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l budget -d 'Most that all calls and deposits of this home may take in a day (UTC), in token units' -r
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l max-price -d 'Most that one call may cost, in token units' -r
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l from -d 'Account that pays; wallet.account or the only one when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand mcp" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -f -a "open" -d 'Put money into a new channel without a call'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -f -a "list" -d 'List the channels as the chain has them'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -f -a "topup" -d 'Put more money into a channel'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -f -a "refund" -d 'Ask the server to give back what is left'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -f -a "withdraw" -d 'Take back what is left on the chain itself, when the server is gone'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and not __fish_seen_subcommand_from open list topup refund withdraw help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -l adapter -d 'Adapter to call; needed when the server has several' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -l amount -d 'Deposit in token units' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -l from -d 'Account that pays; wallet.account or the only one when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from open" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -l from -d 'Account that pays; wallet.account or the only one when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -l amount -d 'Deposit in token units' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from topup" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -l from -d 'Account that pays; wallet.account or the only one when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from refund" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -l from -d 'Account that pays; wallet.account or the only one when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -l password-file -d 'File with the password, or - for standard input' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from withdraw" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from help" -f -a "open" -d 'Put money into a new channel without a call'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the channels as the chain has them'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from help" -f -a "topup" -d 'Put more money into a channel'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from help" -f -a "refund" -d 'Ask the server to give back what is left'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from help" -f -a "withdraw" -d 'Take back what is left on the chain itself, when the server is gone'
complete -c openlora -n "__fish_openlora_using_subcommand channel; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -f -a "list" -d 'List the calls that were paid from here'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -f -a "show" -d 'Show what a call cost'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -f -a "pending" -d 'List the calls that were paid and not answered'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -f -a "forget" -d 'Give up the answer of a call that was paid and not answered'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -f -a "verify" -d 'Compare a receipt with what was signed and with the chain'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -f -a "replay" -d 'Compute a call again here and compare its answer: exit 9, and where they differ, when they do'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and not __fish_seen_subcommand_from list show pending forget verify replay help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -l proof -d 'File for the proof that the call is in the server\'s transparency log' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -l url -d 'Server to ask; the one that was paid, or this home\'s own, when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -l why -d 'Explain whose data shaped the answer, as its server says'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from pending" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from forget" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -l url -d 'Server of a free call; this home\'s own when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from verify" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l answer -d 'File with the answer: its text, a picture, or what `openlora --json call` printed' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l prompt -d 'File with the prompt; what the answer\'s file or the payment store has when left out' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l system -d 'System message that was sent with the prompt' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l body -d 'File with the JSON body that was sent' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l adapter -d 'Adapter that answered: a folder, package or run; the run with its digest when left out' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l base -d 'Base model: nano, a folder, a GGUF file, or a Hub id' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l url -d 'Server to ask for the receipt' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from replay" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the calls that were paid from here'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what a call cost'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from help" -f -a "pending" -d 'List the calls that were paid and not answered'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from help" -f -a "forget" -d 'Give up the answer of a call that was paid and not answered'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Compare a receipt with what was signed and with the chain'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from help" -f -a "replay" -d 'Compute a call again here and compare its answer: exit 9, and where they differ, when they do'
complete -c openlora -n "__fish_openlora_using_subcommand receipts; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -f -a "head" -d 'Show the log\'s size and root as signed; this home\'s own log is first brought up to date'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -f -a "prove" -d 'Prove that an entry is in the log'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -f -a "consistency" -d 'Prove that the log only grew between two checkpoints: exit 9 when it did not'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -f -a "verify" -d 'Check a proof without a network: exit 9 when it proves nothing'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -f -a "count" -d 'Read all entries, compare them with the signed root and count them'
complete -c openlora -n "__fish_openlora_using_subcommand log; and not __fish_seen_subcommand_from head prove consistency verify count help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -l log -d 'Server or folder with the log; this home\'s own when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -l vkey -d 'Public key of the log, or a file with it' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -l out -d 'File to keep the signed checkpoint in, to compare with later' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from head" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -l log -d 'Server or folder with the log; this home\'s own when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -l vkey -d 'Public key of the log, or a file with it' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -l out -d 'File for the proof, NAME.tlog-proof; standard output when left out' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -l sealed -d 'Leave out what only the parties of the call know'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from prove" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -l log -d 'Server or folder with the log; this home\'s own when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -l vkey -d 'Public key of the log, or a file with it' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from consistency" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -l vkey -d 'Public key of the log, or a file with it; this home\'s own when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -l checkpoint -d 'Checkpoint that was kept, to compare with the one in the proof' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from verify" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -l log -d 'Server or folder with the log; this home\'s own when left out' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -l vkey -d 'Public key of the log, or a file with it' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from count" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from help" -f -a "head" -d 'Show the log\'s size and root as signed; this home\'s own log is first brought up to date'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from help" -f -a "prove" -d 'Prove that an entry is in the log'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from help" -f -a "consistency" -d 'Prove that the log only grew between two checkpoints: exit 9 when it did not'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Check a proof without a network: exit 9 when it proves nothing'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from help" -f -a "count" -d 'Read all entries, compare them with the signed root and count them'
complete -c openlora -n "__fish_openlora_using_subcommand log; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -f -a "start" -d 'Start it, or say where it runs'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -f -a "stop" -d 'Stop it; its state stays'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -f -a "status" -d 'Say whether it runs, where, and how much it holds'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -f -a "reset" -d 'Delete its state and begin a new chain'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and not __fish_seen_subcommand_from start stop status reset help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -l chain-id -d 'Chain id; each has a process and a state of its own' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -l port -d 'Port to listen on; 0 takes a free one' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -l data -d 'Home of the chain\'s folder' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -l foreground -d 'Stay in this process until Ctrl-C'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from start" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -l chain-id -d 'Chain id; each has a process and a state of its own' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from stop" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -l chain-id -d 'Chain id; each has a process and a state of its own' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -l chain-id -d 'Chain id; each has a process and a state of its own' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from reset" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from help" -f -a "start" -d 'Start it, or say where it runs'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from help" -f -a "stop" -d 'Stop it; its state stays'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from help" -f -a "status" -d 'Say whether it runs, where, and how much it holds'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from help" -f -a "reset" -d 'Delete its state and begin a new chain'
complete -c openlora -n "__fish_openlora_using_subcommand devnet; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -f -a "show" -d 'Show every setting'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -f -a "get" -d 'Print the value of one key'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -f -a "path" -d 'Show which files and folders are used'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -f -a "set" -d 'Change a key in the project file, or with --user in the user\'s own'
complete -c openlora -n "__fish_openlora_using_subcommand config; and not __fish_seen_subcommand_from show get path set help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -l origin -d 'Say where each value comes from'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from get" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from path" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -l user -d 'Change the user\'s file'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from set" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show every setting'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "get" -d 'Print the value of one key'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "path" -d 'Show which files and folders are used'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "set" -d 'Change a key in the project file, or with --user in the user\'s own'
complete -c openlora -n "__fish_openlora_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand completions" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand completions" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand completions" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand completions" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand completions" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand completions" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand completions" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand completions" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand completions" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand completions" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand completions" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand completions" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand completions" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand man" -l config -d 'Project file to use instead of the nearest openlora.toml' -r -F
complete -c openlora -n "__fish_openlora_using_subcommand man" -l profile -d 'Lay the keys of `[profile.NAME]` over the project file' -r
complete -c openlora -n "__fish_openlora_using_subcommand man" -l network -d 'Chain to use: a preset such as base-sepolia, or one of the settings' -r
complete -c openlora -n "__fish_openlora_using_subcommand man" -l color -d 'When to colour output' -r -f -a "auto\t''
always\t''
never\t''"
complete -c openlora -n "__fish_openlora_using_subcommand man" -l json -d 'Print the result as JSON; implies --no-input'
complete -c openlora -n "__fish_openlora_using_subcommand man" -s q -l quiet -d 'Say less on stderr'
complete -c openlora -n "__fish_openlora_using_subcommand man" -s v -l verbose -d 'Say more on stderr; twice for debugging logs'
complete -c openlora -n "__fish_openlora_using_subcommand man" -l no-input -d 'Never ask; a question becomes an error'
complete -c openlora -n "__fish_openlora_using_subcommand man" -s y -l yes -d 'Answer every question with yes'
complete -c openlora -n "__fish_openlora_using_subcommand man" -l offline -d 'No network access besides this machine'
complete -c openlora -n "__fish_openlora_using_subcommand man" -l accessible -d 'Plain lines instead of animated output'
complete -c openlora -n "__fish_openlora_using_subcommand man" -s h -l help -d 'Print help'
complete -c openlora -n "__fish_openlora_using_subcommand man" -s V -l version -d 'Print version'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "demo" -d 'Run the whole story on the embedded base model, really executed'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "init" -d 'Write a new project from a template'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "doctor" -d 'Check the machine: processor, memory, disk, folders, models'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "data" -d 'Look at training data before using it'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "train" -d 'Train a LoRA adapter'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "eval" -d 'Measure an adapter against its base on labelled data'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "attribution" -d 'Build and check the index that calls are attributed with'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "package" -d 'Write a signed package from a finished run'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "verify" -d 'Check a package: structure, digests, signature, base, data'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "export" -d 'Write an adapter for other programs: PEFT, a merged model, llama.cpp'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "push" -d 'Put a package where others can pull it'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "pull" -d 'Bring a package here from a registry, the Hub, a web folder, or where a chain says that it is'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "store" -d 'List and remove the packages that were pulled'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "deploy" -d 'Register a package in the chain\'s registry, or publish its next version there'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "explore" -d 'Show what the registry knows: releases, split, servers, calls, revenue'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "earnings" -d 'Show what calls earned: today, 7 days, 30 days, all; pending, settled, withdrawable'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "dash" -d 'Show calls, attribution and money live on the terminal'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "wallet" -d 'Keep accounts in encrypted files'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "serve" -d 'Answer calls over HTTP'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "run" -d 'Run an adapter in a container that reads nothing else and reaches no network'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "chat" -d 'Talk to an adapter in this terminal, without a server'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "bench" -d 'Measure how fast this machine answers'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "settle" -d 'Claim what calls have cost, and have it sent to the splitters'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "withdraw" -d 'Pay out your share of the splitters, and the contributor pools\''
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "claim" -d 'Fetch what contributor pools owe you, with only an address, a published log and a chain'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "audit" -d 'Compute again what a server published of an adapter\'s calls, and hold it against the chain'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "call" -d 'Send one call to a server, pay for it, and print the answer'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "search" -d 'Find adapters: price, servers, latency, calls, returning payers, evaluation'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "proxy" -d 'Answer in OpenAI\'s form on this machine, and pay for the calls within a budget'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "mcp" -d 'Offer adapters to an agent as tools that pay for their calls (MCP on standard input and output)'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "channel" -d 'Open, list, fill and empty the channels that calls are paid from'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "receipts" -d 'Show what calls have cost, and check servers\' receipts'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "log" -d 'Prove that calls are in a server\'s transparency log, and that nothing in it was changed'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "devnet" -d 'Run a development chain on this machine'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "config" -d 'Show and change settings'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "completions" -d 'Print a completion script for a shell'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "man" -d 'Print the manual page'
complete -c openlora -n "__fish_openlora_using_subcommand help; and not __fish_seen_subcommand_from demo init doctor data train eval attribution package verify export push pull store deploy explore earnings dash wallet serve run chat bench settle withdraw claim audit call search proxy mcp channel receipts log devnet config completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from data" -f -a "check" -d 'Report on formats, duplicates, label balance and lengths'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from data" -f -a "preview" -d 'Show rows as the model sees them, learned tokens coloured'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from data" -f -a "split" -d 'Divide rows into train, valid and test files, the same way every time'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from attribution" -f -a "build" -d 'Build the index of a finished run'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from attribution" -f -a "inspect" -d 'Show what an index was built from and what it holds'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from attribution" -f -a "verify" -d 'Hold an index against its run: hashes, base, adapter, data; exit 9 when they disagree'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from attribution" -f -a "audit" -d 'Train without a contributor and compare with what the index says'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "list" -d 'List the packages with their sizes, the one that was used last first'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "remove" -d 'Remove packages that no running process uses'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "keep" -d 'Have packages stay when room is needed for others'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from wallet" -f -a "new" -d 'Make an account with a new key'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from wallet" -f -a "import" -d 'Take over an account: private key, mnemonic or Web3 keystore'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from wallet" -f -a "list" -d 'List the accounts'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from wallet" -f -a "address" -d 'Print an account\'s address'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from wallet" -f -a "balance" -d 'Show what an account holds on the chain'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from wallet" -f -a "export" -d 'Reveal an account\'s private key'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from wallet" -f -a "model-key" -d 'Print the public key with which an account signs the files of packages'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from wallet" -f -a "unlock" -d 'Let commands sign with an account for a while without its password (Linux)'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from wallet" -f -a "lock" -d 'Ask for passwords again'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from wallet" -f -a "change-password" -d 'Encrypt an account with another password'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from bench" -f -a "serve" -d 'Tokens per second, time to the first token and memory for 1 to N calls at the same time'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from channel" -f -a "open" -d 'Put money into a new channel without a call'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from channel" -f -a "list" -d 'List the channels as the chain has them'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from channel" -f -a "topup" -d 'Put more money into a channel'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from channel" -f -a "refund" -d 'Ask the server to give back what is left'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from channel" -f -a "withdraw" -d 'Take back what is left on the chain itself, when the server is gone'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from receipts" -f -a "list" -d 'List the calls that were paid from here'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from receipts" -f -a "show" -d 'Show what a call cost'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from receipts" -f -a "pending" -d 'List the calls that were paid and not answered'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from receipts" -f -a "forget" -d 'Give up the answer of a call that was paid and not answered'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from receipts" -f -a "verify" -d 'Compare a receipt with what was signed and with the chain'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from receipts" -f -a "replay" -d 'Compute a call again here and compare its answer: exit 9, and where they differ, when they do'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from log" -f -a "head" -d 'Show the log\'s size and root as signed; this home\'s own log is first brought up to date'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from log" -f -a "prove" -d 'Prove that an entry is in the log'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from log" -f -a "consistency" -d 'Prove that the log only grew between two checkpoints: exit 9 when it did not'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from log" -f -a "verify" -d 'Check a proof without a network: exit 9 when it proves nothing'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from log" -f -a "count" -d 'Read all entries, compare them with the signed root and count them'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from devnet" -f -a "start" -d 'Start it, or say where it runs'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from devnet" -f -a "stop" -d 'Stop it; its state stays'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from devnet" -f -a "status" -d 'Say whether it runs, where, and how much it holds'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from devnet" -f -a "reset" -d 'Delete its state and begin a new chain'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "show" -d 'Show every setting'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "get" -d 'Print the value of one key'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "path" -d 'Show which files and folders are used'
complete -c openlora -n "__fish_openlora_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "set" -d 'Change a key in the project file, or with --user in the user\'s own'
