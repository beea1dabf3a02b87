/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers and times as people read them. Pure; called by view.js. null and undefined mean "not known yet". */

const NONE = "–";

/* 1234567 -> "1.23 M"; rates and counts alike. */
export function count(value) {
	if (value == null)
		return NONE;
	for (const [size, unit] of [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e4, " k"]])
		if (value >= size)
			return digits(value / (unit === " k" ? 1e3 : size)) + unit;
	return value > 0 && value < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value).toString();
}

export function rate(value) {
	return value == null ? NONE : `${count(value)}/s`;
}

/* Bytes a second as bits, as links are sold. */
export function bits(bytes) {
	if (bytes == null)
		return NONE;
	const value = bytes * 8;

	for (const [size, unit] of [[1e9, "Gbit/s"], [1e6, "Mbit/s"], [1e3, "kbit/s"]])
		if (value >= size)
			return `${digits(value / size)} ${unit}`;
	return `${Math.round(value)} bit/s`;
}

export function percent(ratio) {
	if (ratio == null)
		return NONE;
	return `${ratio > 0 && ratio < 0.1 ? (ratio * 100).toFixed(1) : Math.round(ratio * 100)} %`;
}

function digits(value) {
	return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

/* How long: two units at most. */
export function duration(ms) {
	const s = Math.max(0, Math.floor(ms / 1000));
	const parts = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"], [Math.floor(s / 60) % 60, "min"],
		[s % 60, "s"]];
	const first = parts.findIndex(([n]) => n > 0);

	if (first < 0)
		return "0 s";
	return parts.slice(first, first + 2).filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`).join(" ");
}

/* How long a check took. */
export function took(us) {
	if (us == null)
		return "";
	if (us < 1000)
		return `${us} µs`;
	return us < 1e6 ? `${digits(us / 1000)} ms` : `${digits(us / 1e6)} s`;
}

export function clock(ms, now) {
	const t = new Date(ms);
	const time = t.toLocaleTimeString([], { hour12: false });

	return new Date(now).toDateString() === t.toDateString() ? time : `${t.toLocaleDateString()} ${time}`;
}
