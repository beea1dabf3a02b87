# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Completion of `alwayson` for bash. The lines of _alwayson_verbs are the program's verb table (user/cli/verbs.c): words,
# kinds of arguments in capitals, options. tests/unit/test_cli_completion.c holds the two together.
_alwayson_verbs='
status
show services
show servers BACKEND
show flows --limit
show config
show verdicts
show interfaces
show log
show table --top
show acl ACL
get acl ACL ADDRESS
add acl ACL PREFIX
del acl ACL PREFIX
clear acl ACL
show announce
show peers
explain config
explain server SERVER
explain packet SERVICE SOURCE PACKET --pcap --interface
trace --service --source --verdict --rate --count --snap --pcap
server drain SERVER
server maint SERVER
server ready SERVER
server weight SERVER WEIGHT
wait drained SERVER --timeout
top --once
watch BACKEND --last
log level LEVEL
announce
withdraw
ready FRONTEND
reload
restart
load IFACE MODE
unload IFACE
decap load IFACE MODE --from --address
decap unload IFACE
decap show IFACE
doctor IFACE --file
version
'

# Candidates for one kind of argument. Names of servers come from the agent, if one answers.
_alwayson_kind() {
	local name

	case $1 in
	SERVER) "${_alwayson_ask[@]}" show servers 2>/dev/null | awk 'NR > 1 { print $1 }' ;;
	BACKEND) "${_alwayson_ask[@]}" show servers 2>/dev/null | awk 'NR > 1 { print $1; sub("/.*", "", $1); print $1 }' ;;
	ACL) "${_alwayson_ask[@]}" show acl 2>/dev/null | awk 'NR > 1 { print $1; if ($4 != $1) print $4 }' ;;
	FRONTEND) "${_alwayson_ask[@]}" show services 2>/dev/null | awk 'NR > 1 { sub("/.*", "", $1); print $1 }' ;;
	IFACE) for name in /sys/class/net/*; do echo "${name##*/}"; done ;;
	MODE) printf 'native\ngeneric\nauto\n' ;;
	SERVICE) "${_alwayson_ask[@]}" show services 2>/dev/null | awk 'NR > 1 { print $1 }' ;;
	PACKET) printf 'syn\nack\nfin\nrst\n' ;;
	LEVEL) printf '%s\n' emerg alert crit err warning notice info debug default ;;
	esac
}

_alwayson() {
	local cur=${COMP_WORDS[COMP_CWORD]} words=() tokens token next options i at found=''
	local _alwayson_ask=("${COMP_WORDS[0]}")

	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-s | --socket | --file | --pcap)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--name | --limit | --top | --last | --timeout | --from | --address | --interface | --service | --source | --verdict | --rate | --count | --snap) return ;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket | --name) _alwayson_ask+=("${COMP_WORDS[i]}" "${COMP_WORDS[++i]}") ;;
		--limit | --top | --last | --timeout | --from | --address | --file | --pcap | --interface | --service | --source | --verdict | --rate | --count | --snap) i=$((i + 1)) ;;
		-*) ;;
		*) words+=("${COMP_WORDS[i]}") ;;
		esac
	done
	if [[ $cur == -* ]]; then
		found='-s --socket --name -j --json -h --help -V --version'
	fi
	while read -r -a tokens; do
		at=0 next='' options=''
		for token in "${tokens[@]}"; do
			if [[ $token == --* ]]; then
				options+=" $token"
			elif ((at < ${#words[@]})); then
				[[ $token == "${words[at]}" || $token == [A-Z]* ]] || continue 2
				at=$((at + 1))
			else
				next=${next:-$token}
			fi
		done
		((at == ${#words[@]})) || continue
		if [[ $cur == -* ]]; then
			# Options belong to a verb whose own words are all there.
			[[ ${#words[@]} -gt 0 && $next != [a-z]* ]] && found+=$options
		elif [[ $next == [A-Z]* ]]; then
			found+=" $(_alwayson_kind "$next")"
		else
			found+=" $next"
		fi
	done <<<"$_alwayson_verbs"
	mapfile -t COMPREPLY < <(compgen -W "$found" -- "$cur" | sort -u)
}

complete -F _alwayson alwayson
