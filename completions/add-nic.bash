_add__nic() {
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
                cmd="add__nic"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        add__nic)
            opts="-b -g -r -p -l -n -q -f -v -h -V --host-addr --bridge --create --peer --macvlan --ipvlan --phys --peer-addr --peer-name --vlan --name --name-prefix --host-name --mac --mtu --gateway --route --metric --sysctl --nat --publish --forward --sbr --dad --no-dad --announce --no-announce --replace --rm --repair --list --check --watch --once --dry-run --preflight --quiet --host --force --json --engine-timeout --verbose --help --man --version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --host-addr)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --bridge)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -b)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --peer)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --macvlan)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --ipvlan)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --phys)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --peer-addr)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --peer-name)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --vlan)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --name)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --name-prefix)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --host-name)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --mac)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --mtu)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --gateway)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -g)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --route)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                -r)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --metric)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --sysctl)
                    COMPREPLY=("${cur}")
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o nospace
                    fi
                    return 0
                    ;;
                --nat)
                    COMPREPLY=($(compgen -W "default-route all" -- "${cur}"))
                    return 0
                    ;;
                --publish)
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
                --dad)
                    COMPREPLY=($(compgen -W "quick full" -- "${cur}"))
                    return 0
                    ;;
                --announce)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch)
                    local oldifs
                    if [ -n "${IFS+x}" ]; then
                        oldifs="$IFS"
                    fi
                    IFS=$'\n'
                    COMPREPLY=($(compgen -f "${cur}"))
                    if [ -n "${oldifs+x}" ]; then
                        IFS="$oldifs"
                    fi
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o filenames
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
_add_nic_now() {
    # Words as they were typed: bash itself splits them at colons too.
    local words places=(targets nothing) kind= first= word about i place=0
    read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
    [[ ${COMP_LINE:0:COMP_POINT} != *[[:space:]] ]] || words+=("")
    local cur=${words[-1]}
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ -n $kind ]]; then kind=; continue; fi
        case $word in
            -b | --bridge) kind=bridges ;;
            --peer) kind=targets ;;
            --phys) kind=host-interfaces ;;
            --macvlan) kind=host-interfaces ;;
            --ipvlan) kind=host-interfaces ;;
            --host-addr | --peer-addr | --peer-name | --vlan | --name | --name-prefix | --host-name | --mac | --mtu | -g | --gateway | -r | --route | --metric | --sysctl | -p | --publish | --dad | --announce | --watch | --engine-timeout) kind=clap ;;
            --rm | --repair) places=(targets interfaces) ;;
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
            -b | --bridge) kind=bridges ;;
            --peer) kind=targets ;;
            --phys) kind=host-interfaces ;;
            --macvlan) kind=host-interfaces ;;
            --ipvlan) kind=host-interfaces ;;
            --host-addr | --peer-addr | --peer-name | --vlan | --name | --name-prefix | --host-name | --mac | --mtu | -g | --gateway | -r | --route | --metric | --sysctl | -p | --publish | --dad | --announce | --watch | --engine-timeout) kind=clap ;;
            --rm | --repair) places=(targets interfaces) ;;
        esac
        cur=${cur#*=}
    elif [[ -z $kind && $cur != -* ]]; then
        kind=${places[place < ${#places[@]} ? place : ${#places[@]} - 1]}
    fi
    case $kind in
        '' | clap) _add__nic "$@"; return ;;
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
    complete -F _add_nic_now -o nosort add-nic
else
    complete -F _add_nic_now add-nic
fi
