# What there is now: containers, interfaces, engines, said by cpid. With --rm or --repair the second KIND.
@FUNCTION@() {
    local kind=$1 first word
    if (( ${+2} && ${words[(I)--(rm|repair)]} )); then kind=$2; fi
    for word in ${words[2,CURRENT-1]}; do
        if [[ $word != -* ]]; then first=$word; break; fi
    done
    local -a offered
    case $kind in
        dests) offered=(${(f)"$(cpid --complete targets 2>/dev/null; print gateway)"}) ;;
        words) offered=(${(f)"$(cpid --complete targets 2>/dev/null; cpid --complete interfaces 2>/dev/null)"}) ;;
        host-interfaces) offered=(${(f)"$(cpid --complete interfaces 2>/dev/null)"}) ;;
        interfaces) [[ -z $first ]] || offered=(${(f)"$(cpid --complete interfaces -- $first 2>/dev/null)"}) ;;
        nothing) return 1 ;;
        *) offered=(${(f)"$(cpid --complete $kind 2>/dev/null)"}) ;;
    esac
    # docker:nginx, where an engine was typed.
    if [[ $PREFIX == [a-z]*:* && $kind == (targets|dests|words) ]]; then
        offered=(${(M)offered:#*$'\t'${PREFIX%%:*}})
        offered=(${PREFIX%%:*}:${^offered})
    fi
    # In what _describe reads, a colon ends the word.
    offered=(${${offered//:/\\:}/$'\t'/:})
    _describe -t $kind $kind offered
}

