-- SPDX-License-Identifier: BSD-2-Clause
-- What tests/bench/throughput wants to know of a run of wrk, on one line of standard output behind the word "result":
-- requests, microseconds, errors, and the latency's median and 99th percentile in microseconds.
function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format("result %d %d %d %d %d\n", summary.requests, summary.duration,
		e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
