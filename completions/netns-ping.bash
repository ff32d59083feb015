_netns__ping() {
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
                cmd="netns__ping"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        netns__ping)
            opts="-c -i -w -W -s -t -I -q -n -f -M -A -l -Q -m -p -r -U -b -B -d -C -4 -6 -O -D -v -h -V --count --interval --deadline --timeout --size --ttl --interface --quiet --numeric --flood --pmtudisc --adaptive --preload --tos --mark --pattern --dont-route --plain --ipv4 --ipv6 --outstanding --time-of-day --arp --dad --announce --rate --matrix --tcp --udp --data --json --engine-timeout --verbose --help --man --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --count)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -c)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --interval)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -i)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --deadline)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -w)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --timeout)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -W)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --size)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -s)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --ttl)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -t)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --interface)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -I)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --pmtudisc)
                    COMPREPLY=($(compgen -W "do want probe dont" -- "${cur}"))
                    return 0
                    ;;
                -M)
                    COMPREPLY=($(compgen -W "do want probe dont" -- "${cur}"))
                    return 0
                    ;;
                --preload)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -l)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --tos)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -Q)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --mark)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -m)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --pattern)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -p)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --rate)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --matrix)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --tcp)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --udp)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --data)
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
_netns_ping_now() {
    # Words as they were typed: bash itself splits them at colons too.
    local words places=(targets dests) kind= first= word about i place=0
    read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
    [[ ${COMP_LINE:0:COMP_POINT} != *[[:space:]] ]] || words+=("")
    local cur=${words[-1]}
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ -n $kind ]]; then kind=; continue; fi
        case $word in
            -I | --interface) kind=interfaces ;;
            -c | --count | -i | --interval | -w | --deadline | -W | --timeout | -s | --size | -t | --ttl | -M | --pmtudisc | -l | --preload | -Q | --tos | -m | --mark | -p | --pattern | --rate | --tcp | --udp | --data | --engine-timeout) kind=clap ;;
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
            -I | --interface) kind=interfaces ;;
            -c | --count | -i | --interval | -w | --deadline | -W | --timeout | -s | --size | -t | --ttl | -M | --pmtudisc | -l | --preload | -Q | --tos | -m | --mark | -p | --pattern | --rate | --tcp | --udp | --data | --engine-timeout) kind=clap ;;
        esac
        cur=${cur#*=}
    elif [[ -z $kind && $cur != -* ]]; then
        kind=${places[place < ${#places[@]} ? place : ${#places[@]} - 1]}
    fi
    case $kind in
        '' | clap) _netns__ping "$@"; return ;;
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
    complete -F _netns_ping_now -o nosort netns-ping
else
    complete -F _netns_ping_now netns-ping
fi
