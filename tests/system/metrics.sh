#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The metrics of a running balancer: what they say, what promtool says of them, and whether a real Prometheus that scrapes
# them can answer every query of the dashboard and evaluate every rule.
. "$(dirname "$0")/lib.sh"

PROMETHEUS=$ROOT/tools/prometheus
DASHBOARD=$ROOT/tools/grafana/alwayson.json

config() {
	write_config <<CFG
${1:-global
	metrics *:9101
}
$(quick_defaults)

frontend web
	bind *:80
	default_backend nodes

backend nodes
$(servers 2)
CFG
}

scrape() {
	client curl -sf -m 5 "${@:2}" "http://$VIP4:$1/metrics"
}

# One value: metric 9101 'alwayson_service_up{service="web"}'
metric() {
	scrape "$1" | awk -v name="$2" 'index($0, name " ") == 1 { print substr($0, length(name) + 2) }'
}

metric_is() {
	[ "$(metric 9101 "$1")" = "$2" ]
}

status_of() {
	client curl -s -m 5 -o /dev/null -w '%{http_code}' "http://$VIP4:9101$1"
}

nobody_listens() {
	! lab_in balancer ss -Hltn | grep -v '127.0.0.1\|sock' | grep .
}

promtool_is_content() {
	local said

	said=$(scrape 9101 | promtool check metrics 2>&1) && [ -z "$said" ] && return
	printf '%s\n' "$said"
	return 1
}

openmetrics() {
	scrape 9101 -H 'Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1' -D "$LAB_DIR/head" >"$LAB_DIR/om" || return
	grep -qi '^content-type: application/openmetrics-text; version=1.0.0' "$LAB_DIR/head" || { cat "$LAB_DIR/head"; return 1; }
	[ "$(tail -n 1 "$LAB_DIR/om")" = "# EOF" ] || { tail -n 2 "$LAB_DIR/om"; return 1; }
}

answered_is_counted() {
	local before after

	before=$(metric 9101 'alwayson_service_connections_total{service="web"}')
	get "http://$VIP4/" 20 >/dev/null
	after=$(metric 9101 'alwayson_service_connections_total{service="web"}')
	expect "new connections counted" $((after - before)) -eq 20
}

grows() {
	local first

	first=$(metric 9101 "$1")
	wait_until 5 "$1 to grow" more_than "$1" "$first"
}

more_than() {
	awk -v a="$(metric 9101 "$1")" -v b="$2" 'BEGIN { exit !(a > b) }'
}

# Every label value of a kind is one that the configuration or a table of ours names.
labels_are_bounded() {
	local strange

	strange=$(scrape 9101 | grep -o '\(service\|backend\|server\|state\)="[^"]*"' | sort -u |
		grep -vxE 'service="web"|backend="nodes"|server="node[12]"|state="(unchecked|init|up|down|ready|drain|maint)"')
	[ -z "$strange" ] || { printf '%s\n' "$strange"; return 1; }
}

reload_is_refused() {
	local output

	output=$(reload 2>&1) && { echo "it was taken"; return 1; }
	grep -q "cannot listen at" <<<"$output" || { printf 'it said: %s\n' "$output"; return 1; }
}

# --- a real Prometheus

prometheus_start() {
	mkdir -p "$LAB_DIR/prometheus"
	# A group begins somewhere in its interval: nobody waits half a minute for it here.
	sed 's/interval: 30s/interval: 1s/' "$PROMETHEUS/alwayson.rules.yml" >"$LAB_DIR/prometheus/alwayson.rules.yml"
	cat >"$LAB_DIR/prometheus/prometheus.yml" <<-YML
		global: {scrape_interval: 1s, evaluation_interval: 1s}
		rule_files: [alwayson.rules.yml]
		scrape_configs: [{job_name: alwayson, static_configs: [{targets: ["$VIP4:9101"]}]}]
	YML
	nsenter --net="$(lab_netns_path client)" prometheus --config.file="$LAB_DIR/prometheus/prometheus.yml" \
		--storage.tsdb.path="$LAB_DIR/prometheus/data" --web.listen-address=127.0.0.1:9090 \
		>"$LAB_DIR/prometheus/log" 2>&1 &
}

query() {
	client curl -sf -m 10 http://127.0.0.1:9090/api/v1/query --data-urlencode "query=$1" -G
}

has_answer() {
	query "$1" | jq -e '.status == "success" and (.data.result | length) > 0'
}

# The dashboard's queries, with its variables as when everything is chosen.
dashboard_queries() {
	jq -r '(.panels[].targets // [] | .[].expr), .annotations.list[].expr' "$DASHBOARD" |
		sed 's/\$__rate_interval/30s/g; s/\$\(instance\|service\|backend\)/.*/g'
}

every_query_answers() {
	local expr count=0 bad=0

	while IFS= read -r expr; do
		count=$((count + 1))
		# Without an event there is none to annotate.
		case $expr in changes*) query "$expr" | jq -e '.status == "success"' >/dev/null && continue ;; esac
		has_answer "$expr" >/dev/null && continue
		printf 'no answer to: %s\n' "$expr"
		bad=1
	done < <(dashboard_queries)
	expect "queries" "$count" -ge 30 && [ "$bad" = 0 ]
}

# What the variables are filled from.
variables_are_filled() {
	local label

	for label in instance service backend; do
		client curl -sf "http://127.0.0.1:9090/api/v1/label/$label/values" | jq -e '.data | length > 0' >/dev/null ||
			{ echo "$label has no values"; return 1; }
	done
}

rules_are_evaluated() {
	client curl -sf http://127.0.0.1:9090/api/v1/rules |
		jq -e '[.data.groups[].rules[]] | length > 20 and all(.health == "ok")'
}

# A rule about a metric that is not there would never say anything.
rules_name_only_what_is_there() {
	local name missing=''

	scrape 9101 >"$LAB_DIR/metrics"
	while read -r name; do
		# A family without a line (no database is checked here) is announced all the same.
		grep -q "^# TYPE ${name%_bucket} " "$LAB_DIR/metrics" || missing+=" $name"
	done < <(grep -oE 'alwayson_[a-z_]+' "$PROMETHEUS/alwayson.rules.yml" | sort -u)
	[ -z "$missing" ] || { printf 'not there:%s\n' "$missing"; return 1; }
}

alert_is() {
	client curl -sf http://127.0.0.1:9090/api/v1/alerts |
		jq -e --arg name "$1" --arg states "$2" '.data.alerts | any(.labels.alertname == $name and .state == $states)'
}

no_alerts() {
	client curl -sf http://127.0.0.1:9090/api/v1/alerts | jq -e '.data.alerts | length == 0' && return
	client curl -sf http://127.0.0.1:9090/api/v1/alerts | jq -r '.data.alerts[].labels.alertname'
	return 1
}

begin
config $'\n'
start
check "without the word no port is opened" nobody_listens
config
check "a reload opens it" reload
check "healthz" expect "status" "$(status_of /healthz)" = 200
check "readyz" expect "status" "$(status_of /readyz)" = 200
check "promtool check metrics has nothing to say" promtool_is_content
check "OpenMetrics is given to who asks for it" openmetrics
check "connections are counted" answered_is_counted
check "a service with servers is up" metric_is 'alwayson_service_up{service="web"}' 1
check "checks are counted" grows 'alwayson_server_checks_total{backend="nodes",server="node1"}'
check "and how long they took" grows 'alwayson_backend_check_duration_seconds_count{backend="nodes"}'
check "the loop's lateness is measured" grows 'alwayson_loop_lateness_seconds_count'
check "labels have no other values than known ones" labels_are_bounded
check "a good reload is told" metric_is 'alwayson_config_reloads_total{result="ok"}' 1
printf 'nonsense\n' >>"$CONFIG"
reload >/dev/null 2>&1
check "a bad one too" metric_is 'alwayson_config_last_reload_successful' 0

config $'global\n\tmetrics *:9102\n'
check "a reload moves the port" reload
check "it answers there" expect "service_up" "$(metric 9102 'alwayson_service_up{service="web"}')" = 1
check "and no longer where it was" expect "curl's exit code" "$(exit_code_of scrape 9101)" -ne 0
nsenter --net="$(lab_netns_path balancer)" socat TCP-LISTEN:9101,reuseaddr,fork /dev/null 2>/dev/null &
squatter=$!
wait_until 5 "the other program to listen" bash -c "nsenter --net=$(lab_netns_path balancer) ss -Hltn | grep -q :9101"
config
check "a port that is taken refuses the reload" reload_is_refused
check "and nothing has changed" expect "service_up" "$(metric 9102 'alwayson_service_up{service="web"}')" = 1
kill "$squatter"
wait "$squatter" 2>/dev/null
check "once it is free the reload succeeds" wait_until 5 "the reload" reload

check "promtool test rules" promtool test rules "$PROMETHEUS/alwayson.rules.test.yml"
check "promtool check config" promtool check config --syntax-only "$PROMETHEUS/prometheus.yml.example"
check "amtool check-config" amtool check-config "$PROMETHEUS/alertmanager.yml.example"
check "rules speak of metrics that exist" rules_name_only_what_is_there
prometheus_start
FLOW=$LAB_DIR/stream
stream "$FLOW" 10 300 "http://$VIP4/"
check "Prometheus scrapes it" wait_until 30 "up" has_answer 'up{job="alwayson"} == 1'
check "and has rates" wait_until 20 "a rate" has_answer 'rate(alwayson_service_connections_total[30s]) > 0'
check "every rule is evaluated" wait_until 10 "the rules" rules_are_evaluated
check "the dashboard's variables are filled" variables_are_filled
check "every query of the dashboard is answered" every_query_answers
check "all is well: no alert" no_alerts
server_stop 1
server_stop 2
check "both servers gone: the alert is on its way" wait_until 15 "the alert" alert_is AlwaysOnServiceWithoutServer pending
stream_end
check "the service is down" metric_is 'alwayson_service_up{service="web"}' 0
check "the state says so" metric_is 'alwayson_server_state{backend="nodes",server="node1",state="down"}' 1
check "what was refused is counted" more_than 'alwayson_service_refused_connections_total{service="web"}' 0
