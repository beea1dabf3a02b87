/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From one answer of api/v1/status to the next: rates, and what they were in the last minutes. Called by app.js and
 * view.js. A counter that went back has begun anew (the agent's maps did): its rate is unknown once.
 */

export const KEPT = 180;

/* The counters that are followed, by kind of thing. */
const FOLLOWED = ["connections_total", "bytes_in", "bytes_out", "refused_total", "dropped_packets", "packets"];

const series = new Map(); /* key -> { last: {counter: value}, at, rates: {counter: [..]}, seen } */
let round = 0;

export function begin() {
	round++;
}

/* Takes a thing's counters as they are now. */
export function take(key, thing, now) {
	let s = series.get(key);

	if (!s) {
		s = { last: {}, at: 0, rates: {} };
		series.set(key, s);
	}
	for (const name of FOLLOWED) {
		const value = thing[name], before = s.last[name];

		if (value === undefined)
			continue;
		const rates = s.rates[name] ??= [];

		if (s.at)
			rates.push(now > s.at && value >= before ? (value - before) * 1000 / (now - s.at) : null);
		if (rates.length > KEPT)
			rates.shift();
		s.last[name] = value;
	}
	s.at = now;
	s.seen = round;
}

/* What was not seen in this round is gone. */
export function end() {
	for (const [key, s] of series)
		if (s.seen !== round)
			series.delete(key);
}

export function rates(key, name) {
	return series.get(key)?.rates[name] ?? [];
}

/* The rate now: of the last few answers, so that numbers do not flicker. */
export function rate(key, name) {
	const last = rates(key, name).slice(-3).filter((v) => v != null);

	return last.length ? last.reduce((a, b) => a + b, 0) / last.length : null;
}

/* The mean of all that is kept: what shares are made of. */
export function mean(key, name) {
	const all = rates(key, name).filter((v) => v != null);

	return all.length ? all.reduce((a, b) => a + b, 0) / all.length : null;
}
