# What there is now: containers, interfaces, engines, said by cpid.
@FUNCTION@() {
    # Words as they were typed: bash itself splits them at colons too.
    local words places=(@PLACES@) kind= first= word about i place=0
    read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
    [[ ${COMP_LINE:0:COMP_POINT} != *[[:space:]] ]] || words+=("")
    local cur=${words[-1]}
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ -n $kind ]]; then kind=; continue; fi
        case $word in
            @TABLE@
            -*) ;;
            *)
                if [[ ${places[0]} = program ]]; then
                    # From here on it is another command, which may have completions of its own.
                    declare -F _command_offset >/dev/null || { compopt -o default; return 0; }
                    COMP_WORDS=("${words[@]:i}") COMP_CWORD=$((${#words[@]} - 1 - i))
                    COMP_LINE="${COMP_WORDS[*]}" COMP_POINT=${#COMP_LINE}
                    _command_offset 0
                    return
                fi
                [[ -n $first ]] || first=$word
                place=$((place + 1))
                ;;
        esac
    done
    if [[ -z $kind && $cur == --*=* ]]; then
        case ${cur%%=*} in
            @TABLE@
        esac
        cur=${cur#*=}
    elif [[ -z $kind && $cur != -* ]]; then
        kind=${places[place < ${#places[@]} ? place : ${#places[@]} - 1]}
    fi
    case $kind in
        '' | clap) @CLAP@ "$@"; return ;;
        nothing) return 0 ;;
        program) mapfile -t COMPREPLY < <(compgen -c -- "$cur"); return 0 ;;
    esac
    COMPREPLY=()
    # A word of this list has no character that a shell would read.
    while IFS=$'\t' read -r word about; do
        [[ $cur != "$about":* ]] || word=$about:$word
        [[ $word != "$cur"* ]] || COMPREPLY+=("$word")
    done < <(
        case $kind in
            dests) cpid --complete targets; echo gateway ;;
            words) cpid --complete targets; cpid --complete interfaces ;;
            host-interfaces) cpid --complete interfaces ;;
            interfaces) [[ -z $first ]] || cpid --complete interfaces -- "$first" ;;
            *) cpid --complete "$kind" ;;
        esac 2>/dev/null
    )
    # Of a word with a colon bash replaces only what is behind the last one.
    if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
    fi
}
