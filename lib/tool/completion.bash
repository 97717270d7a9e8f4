# Completion for bash, the same for all the tools: nothing about one of them is written here, what
# there is to complete is read from its --help when the key is pressed.
#
# Installed under the name of each tool, by which bash-completion loads it.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2207 # _init_completion sets what is unused here; no word has a space

# What the option takes, as --help calls it: DIR, STREAM, NAME=VALUE. Nothing if it takes nothing.
_calc_takes() {
    awk -v option="$1" -F '  +' '/^ +-/ {
        count = split($2, words, /,? /)
        for (i = 1; i <= count; i++)
            if (words[i] == option && words[count] !~ /^-/)
                print words[count]
    }' <<<"$help"
}

_calc_options() {
    grep -oE '(^|[ ,[(])-(-[a-z][a-z-]*|[a-zA-Z]\b)' <<<"$help" | tr -d ' ,[(' | sort -u
}

# The subcommands: the lower-case words in the lines of usage.
_calc_subcommands() {
    sed -nE '/^$/q; s/^(usage:)? +(calc-[a-z]+)?/ /p' <<<"$help" |
        grep -oE '[ []([a-z]+)([] ]|$)' | tr -d ' []'
}

_calc_stream() {
    _filedir
    COMPREPLY+=($(compgen -W kafka: -- "$cur"))
    [[ ${COMPREPLY[*]} != kafka: ]] || compopt -o nospace
    __ltrim_colon_completions "$cur"
}

_calc() {
    local cur prev words cword split help
    _init_completion -s -n : || return
    help=$("$1" --help 2>/dev/null) || return

    case $(_calc_takes "$prev") in
    '')
        if [[ $cur == -* ]]; then
            COMPREPLY=($(compgen -W "$(_calc_options)" -- "$cur"))
        else
            COMPREPLY=($(compgen -W "$(_calc_subcommands)" -- "$cur"))
        fi
        ;;
    DIR) _filedir -d ;;
    FILE | PATH*) _filedir ;;
    STREAM) _calc_stream ;;
    esac
} && complete -F _calc "${BASH_SOURCE[0]##*/}"
