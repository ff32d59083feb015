_cpid() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="cpid"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        cpid)
            opts="-l -a -0 -v -h -V --list --all --of --inode --json --null --wait --engine --engine-timeout --verbose --help --man --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --of)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --wait)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --engine)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --complete)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --engine-timeout)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

# What there is now: containers, interfaces, engines, said by cpid.
_cpid_now() {
    # Words as they were typed: bash itself splits them at colons too.
    local words places=(targets) kind= first= word about i place=0
    read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
    [[ ${COMP_LINE:0:COMP_POINT} != *[[:space:]] ]] || words+=("")
    local cur=${words[-1]}
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ -n $kind ]]; then kind=; continue; fi
        case $word in
            --engine) kind=engines ;;
            --of | --wait | --engine-timeout) kind=clap ;;
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
            --engine) kind=engines ;;
            --of | --wait | --engine-timeout) kind=clap ;;
        esac
        cur=${cur#*=}
    elif [[ -z $kind && $cur != -* ]]; then
        kind=${places[place < ${#places[@]} ? place : ${#places[@]} - 1]}
    fi
    case $kind in
        '' | clap) _cpid "$@"; return ;;
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

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _cpid_now -o nosort cpid
else
    complete -F _cpid_now cpid
fi
