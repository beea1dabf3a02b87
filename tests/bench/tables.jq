# SPDX-License-Identifier: BSD-2-Clause
# The tables of the bench, from its JSON, as Markdown that also reads well in a terminal. Called by tests/bench/report
# with $what: machine, packet, sizes, throughput, mpps, health, table, agent, start, scrape, goals, or summary (for the README).

def left($w): . + " " * ([$w - length, 0] | max);
def right($w): " " * ([$w - length, 0] | max) + .;

# Rows of strings, the first the head; the first column is text, the others are numbers.
def table:
	(transpose | map(map(length) | max)) as $widths
	| def line: [range(length) as $i | .[$i] | if $i == 0 then left($widths[$i]) else right($widths[$i]) end]
		| "| " + join(" | ") + " |";
	([.[0] | line]
	 + ["| " + ([range($widths | length) as $i | "-" * ($widths[$i] - (if $i == 0 then 0 else 1 end))
		+ (if $i == 0 then "" else ":" end)] | join(" | ")) + " |"]
	 + [.[1:][] | line]) | join("\n");

# 1234567 -> 1,234,567
def grouped: tostring | [while(length > 0; .[:-3]) | .[-3:]] | reverse | join(",");
def ns: . + 0.5 | floor | tostring;
def tenth: (. * 10 | round) as $t | "\($t / 10 | floor).\($t % 10)";
def hundredth: (. * 100 | round) as $t | "\($t / 100 | floor).\(100 + $t % 100 | tostring | .[1:])";
def flows:
	if . == null then "each new"
	elif . >= 1048576 then "\(. / 1048576 | floor) M"
	elif . >= 1024 then "\(. / 1024 | floor) k"
	else tostring end;

def contender: { direct: "no balancer", "alwayson-nat": "Always On, nat", "alwayson-dsr": "Always On, dsr",
	"alwayson-pool": "Always On, nat, 16 own addresses",
	haproxy: "HAProxy, mode tcp", nftables: "nftables, DNAT" }[.] // .;

def machine:
	"Commit \(.commit)" + (if .dirty then " with changes not committed" else "" end)
	+ ", \(.date), kernel \(.kernel), \(.cpus) CPUs \(.cpu).";

# Where one part was measured alone, later than the others.
def again($part): .parts[$part] | if . then " Measured alone, \(.date), commit \(.commit)." else "" end;

def ipip: [.packet.floors[] | select(.name | test("IPIP"))][0];
def both: if . == null then "" else "\(.min_ns | ns) (\(.median_ns | ns))" end;

# IPv4 and IPv6 of one kind of packet are one line.
def lines: reduce .packet.rows[] as $r ([];
	(map([.name, .flows]) | index([[$r.name, $r.flows]])) as $at
	| if $at == null then . + [{ name: $r.name, flows: $r.flows, v4: null, v6: null }] else . end
	| (map([.name, .flows]) | index([[$r.name, $r.flows]])) as $at
	| .[$at]["v\($r.family)"] = $r);

def packet_table($lines): (ipip.min_ns) as $unit
	| [["packet", "flows", "IPv4 ns", "IPv6 ns", "IPv4, in floors"]]
	+ [$lines[] | [.name, (.flows | flows), (.v4 | both), (.v6 | both),
		(if .v4 then (.v4.min_ns / $unit | tenth) else "" end)]] | table;

def packet:
	([["floor", "ns", "net ns"]]
	 + [.packet.floors[] | [(.name | sub("^floor: "; "")) + (if .family == 6 then ", IPv6" else "" end),
		"\(.gross_min_ns | ns) (\(.gross_median_ns | ns))", both]] | table)
	+ "\n\n" + packet_table(lines)
	+ "\n\nMinimum (median) of \(.packet.rounds) runs of \(.packet.packets_per_run | grouped) packets, net of the "
	+ "wrapper and the empty program. \"In floors\": of the minimum, in what a parsed packet with a constant IPIP header "
	+ "costs (\(ipip.min_ns | tenth) ns in this run). The verifier looked at "
	+ "\(.packet.verified_instructions | grouped) instructions.";

# The paths at other sizes: a line a path, a column a size.
def count($n; $what): "\($n | grouped) \($what)" + (if $n == 1 then "" else "s" end);
def in_turn: unique | sort | map(grouped) | if length > 1 then (.[:-1] | join(", ")) + " and " + .[-1] else .[0] end;
def sizes: (.packet.sizes | group_by([.services, .servers])) as $columns
	| ([["packet, IPv4 ns", "flows"] + [$columns[][0] | count(.services; "service") + ", " + count(.servers; "server")]]
	   + [range($columns[0] | length) as $i | $columns[0][$i] as $path | [$path.name, ($path.flows | flows)]
		+ [$columns[][$i] | both]] | table)
	+ "\n\nThe tables: " + (.packet.sizes | "\(map(.service_places) | in_turn) places for services, "
		+ "\(map(select(.balance == "maglev").slots) | in_turn) slots with consistent hash, "
		+ "\(map(select(.balance == "roundrobin").slots) | in_turn) with round robin, "
		+ "\(map(.flow_places) | in_turn) places for flows.");

# What was set out for, in floors but for the agent's; the best peer's figure as it was told of elsewhere. IPv4.
def goals: (ipip.min_ns) as $unit | [.packet.rows[] | select(.family == 4)] as $rows
	| def measured($name; $flows): $rows | map(select(.name == $name and .flows == $flows and .services == 100)) | first.min_ns / $unit;
	def row($what; $goal; $is; $unit): [$what, "\($goal)\($unit)", ($is | tenth) + $unit,
		if ($is * 10 | round) <= $goal * 10 then "yes" else "no" end];
	[["what", "goal", "measured", "met"]]
	+ [row("ipip, clean slot, 1 flow"; 2.0; measured("ipip, clean slot"; 1); ""),
	row("ipip, clean slot, 1 M flows"; 2.0; measured("ipip, clean slot"; 1048576); ""),
	row("ipip, clean slot, all new"; 2.0; measured("ipip, clean slot, new connection"; null); ""),
	row("dsr, clean slot, 1 flow"; 1.5; measured("dsr, clean slot"; 1); ""),
	row("dsr, clean slot, 1 M flows"; 1.5; measured("dsr, clean slot"; 1048576); ""),
	row("dsr, clean slot, all new"; 1.5; measured("dsr, clean slot, new connection"; null); ""),
	row("nat, established, 1 flow"; 5; measured("nat, established, request"; 1); ""),
	row("nat, established, 64 k flows"; 8; measured("nat, established, request"; 65536); ""),
	row("nat, established, 1 M flows"; 12; measured("nat, established, request"; 1048576); ""),
	row("nat, new connection"; 20; measured("nat, new connection"; null); ""),
	row("dsr, round robin, new connection"; 20; measured("dsr, roundrobin, new connection"; null); ""),
	row("packet for no service"; 1; measured("not for us"; 65536); ""),
	row("health event to last slot, 1000 servers"; 1; [.agent[] | select(.balance == "maglev" and .servers == 1000 and .down == 0)][0].median_us / 1000; " ms"),
	row("start, 1000 services of 10 servers"; 1; ([.start[].start_ms] | max) / 1000; " s"),
	row("memory for that, beside the flow table"; 100; ([.start[] | (.rss_kb - .flow_table_kb) / 1024] | max); " MiB")]
	| table;

def rate: (.per_s | grouped) + (if .errors > 0 then " (\(.errors) errors)" else "" end);
def ms: "\(. / 1000 | tenth) ms";

def throughput_table:
	[["way", "requests/s", "99 % within", "connections/s", "99 % within"]]
	+ [.throughput.results[] | [(.name | contender), (.requests | rate), (.requests.p99_us | ms), (.connections | rate),
		(.connections.p99_us | ms)]] | table;

def throughput: throughput_table
	+ "\n\nMedian of \(.throughput.rounds) rounds of \(.throughput.seconds) s with \(.throughput.connections) "
	+ "connections at a time; two nginx.";

def mpps_name: { drop: "the sender alone, into XDP_DROP", bounce: "bare XDP_TX", ipip: "Always On, ipip", dsr: "Always On, dsr",
	"dsr-roundrobin": "Always On, dsr, roundrobin", nat: "Always On, nat", nftables: "nftables, DNAT" }[.] // .;
def mega: . / 10000 | round | "\(. / 100 | floor).\(. % 100 + 100 | tostring | .[1:])";
def mpps_table:
	[["way", "flows, a CPU", "one CPU, M/s", "two CPUs, M/s"]]
	+ [.mpps.results[] | .name as $n | [($n | mpps_name), (.flows | flows),
		(.cpus[] | if $n == "drop" then .sent_per_s else .came_back_per_s end | mega)]] | table;
def mpps: mpps_table
	+ "\n\nPackets of 60 bytes that came back to the sender; best of \(.mpps.rounds) rounds of \(.mpps.seconds) s. Each CPU makes the "
	+ "packets, steers them and takes them back.";

def health:
	([["check", "checks/s", "failed/s", "one core", "us a check", "late, 99.9 %", "late at most", "first round"]]
	 + [.health[] | [.check, (.checks_per_s | round | grouped), (.failed_per_s | round | grouped),
		"\(.cpu_percent | round) %", (.cpu_us_per_check | tenth), "\(.late_p999_ms | tenth) ms",
		"\(.late_max_ms | tenth) ms", "\(.first_round_late_max_ms | tenth) ms"]] | table)
	+ "\n\n\(.health[0].servers | grouped) servers, each checked every second by one core. \"Late\": how long after its "
	+ "time the event loop came to what was due; \"first round\": at most, in the two seconds after a start.";

def table_name: { ours: "ours", lru: "kernel's LRU", lru_per_cpu: "LRU, list per CPU" }[.];
def mib: . / 1048576 | if . < 10 then tenth else round | grouped end | "\(.) MiB";
def share($all): (100 * . / $all) as $p | if . == 0 then "0" else "\(grouped) (\($p | tenth) %)" end;

def flow_table:
	([["table", "flows", "hit ns", "no hit ns", "new flow ns", "places", "memory", "a flow"]]
	 + [.table.rows[] | [(.table | table_name), (.flows | flows), (.hit_ns | ns), (.miss_ns | ns), (.insert_ns | ns),
		(.capacity | grouped), (.bytes | mib), "\(.bytes / .flows | round) B"]] | table)
	+ "\n\nMedian of runs of \(.table.run | grouped) operations, net of the loop and the making of keys. \"New flow\": a "
	+ "look-up that finds nothing, and the insert.\n\n"
	+ ([["flooded table", "places", "established", "of them lost", "new flows", "refused", "new flow ns"]]
	 + [.table.flood[] | . as $f | [(.table | table_name), (.capacity | grouped), (.established | grouped),
		(.lost | share($f.established)), (.flood | grouped), (.refused | grouped), (.insert_ns | ns)]] | table)
	+ "\n\nEvery established connection speaks once in half a table of new flows, none of which ever speaks again.\n\n"
	+ ([["\(.table.race[0].cpus) CPUs insert the same flows", "flows", "twice in it", "lost", "lock busy", "new flow ns, a CPU"]]
	 + [.table.race[] | [(.table | table_name), (.flows | grouped), (.twice | grouped), (.lost | grouped),
		(.busy | grouped), (.insert_ns | ns)]] | table)
	+ "\n\n"
	+ ([["all ages read by the agent", "entries", "an entry, ns", "all of them"]]
	 + [.table.walk[] | [(.table | table_name) + (if .table == "ours" then ", as memory" else ", batches of system calls" end),
		(.entries | grouped), (.entry_ns | ns), "\(.entries * .entry_ns / 1000000 | round) ms"]] | table)
	+ "\n\n"
	+ ([["\(.table.chosen[0].keys | grouped) keys chosen against our buckets", "found among", "places", "kept", "refused"]]
	 + [.table.chosen[] | [(if .keyed then "hash with a key that they don't know" else "hash without a key" end),
		(.tried | grouped), (.capacity | grouped), (.kept | grouped), (.refused | grouped)]] | table)
	+ "\n\nOur table refuses the first flow when \(.table.first_refusal * 100 | round) % of its places are taken.";

def agent:
	[["one server goes or comes", "servers", "weights", "others down", "median", "99 % within"]]
	+ [.agent[] | ["\(.forward), \(.balance)", (.servers | grouped),
		(if (.weights // 1) == 1 then "equal" else "1 to \(.weights)" end), (.down | grouped), "\(.median_us / 1000 | hundredth) ms",
		"\(.p99_us / 1000 | hundredth) ms"]] | table;

def start:
	([["agent with", "servers", "start", "CPU time of it", "memory", "flow table in it", "memory beside it"]]
	 + [.start[] | ["\(.services | grouped) services, \(.forward), \(.balance)", (.servers | grouped),
		"\(.start_ms / 1000 | hundredth) s", "\(.cpu_ms / 1000 | hundredth) s", "\(.rss_kb / 1024 | round) MiB",
		"\(.flow_table_kb / 1024 | round) MiB", "\((.rss_kb - .flow_table_kb) / 1024 | round) MiB"]] | table)
	+ "\n\nThe quickest of three. The verifier looked at \(.start[0].verified | grouped) instructions." + again("start");

def scrape:
	([["scrape of", "servers", "bytes", "median", "at most", "CPU time of it", "late by 10 ms"]]
	 + [.start[] | ["\(.services | grouped) services, \(.forward), \(.balance)", (.servers | grouped),
		"\(.scrape.bytes / 1000000 | tenth) MB", "\(.scrape.median_ms | round) ms", "\(.scrape.max_ms | round) ms",
		"\(.scrape.cpu_us / 1000 | round) ms", "\(.scrape.late_10ms)"]] | table)
	+ "\n\n\(.start[0].scrape.count) scrapes one after the other; the best of three rounds. \"Late by 10 ms\": how often a timer "
	+ "that runs ten times a second was." + again("start");

# What a reader of the README wants to know.
def summary: machine + "\n\n" + throughput_table + "\n\n" + (if .mpps then mpps + "\n\n" else "" end)
	+ packet_table(lines | map(select(.name
		| test("^(not for us|ipip, clean|dsr, clean|nat, est|nat, new)"))))
	+ "\n\nNanoseconds in the program, minimum (median); \"in floors\": in what a parsed packet with a constant IPIP "
	+ "header costs (\(ipip.min_ns | tenth) ns in this run). `make bench` measures it; docs/performance.md tells how.";

if $what == "machine" then machine
elif $what == "packet" then packet
elif $what == "sizes" then sizes
elif $what == "throughput" then throughput
elif $what == "mpps" then mpps
elif $what == "health" then health
elif $what == "table" then flow_table
elif $what == "agent" then agent
elif $what == "start" then start
elif $what == "scrape" then scrape
elif $what == "goals" then goals
elif $what == "summary" then summary
else error("no table \($what)") end
