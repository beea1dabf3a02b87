/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status page's loop: asks api/v1/status every second, hands the answer to history.js and view.js, and says so
 * when there is none. Rests while the page is hidden or paused. Changes nothing at the balancer: there is nothing that could.
 */
import * as history from "./history.js";
import * as view from "./view.js";

const EVERY_MS = 1000, LATE_MS = 10000, EVENTS_KEPT = 60;
/* A large answer is asked for less often: at most a tenth of the time is spent on it. */
const COST = 10;

let events = [];
let lastEvent = 0;
let paused = false;
let timer = 0;
let heardAt = 0;
let document_ = null; /* the last answer */

function takeEvents(answer) {
	/* A number that went back: the agent was restarted, and counts anew. */
	if (answer.last_event < lastEvent) {
		events = [];
		lastEvent = 0;
		return false;
	}
	events = answer.events.reverse().concat(events).slice(0, EVENTS_KEPT);
	lastEvent = answer.last_event;
	return true;
}

function takeCounters(answer) {
	history.begin();
	history.take("totals", answer.totals, answer.now_ms);
	for (const s of answer.services)
		history.take(`service ${s.name}`, s, answer.now_ms);
	for (const b of answer.backends)
		for (const s of b.servers)
			history.take(`server ${b.name}/${s.name}`, s, answer.now_ms);
	for (const v of answer.verdicts)
		history.take(`verdict ${v.name}`, v, answer.now_ms);
	history.end();
}

async function ask() {
	const began = performance.now();
	let wait = EVERY_MS;

	try {
		const reply = await fetch(`api/v1/status?after=${lastEvent}`, { cache: "no-store",
			signal: AbortSignal.timeout(LATE_MS) });

		if (!reply.ok)
			throw new Error(`answered ${reply.status}`);
		const answer = await reply.json();

		if (takeEvents(answer)) {
			takeCounters(answer);
			document_ = answer;
			heardAt = Date.now();
			view.draw(answer, events);
			view.link("live", "live");
		} else {
			wait = 0;
		}
	} catch (error) {
		view.link("lost", heardAt ? `no answer for ${Math.round((Date.now() - heardAt) / 1000)} s` : "no answer");
	}
	wait = Math.max(wait, COST * (performance.now() - began));
	schedule(Math.min(wait, 60000));
}

function schedule(ms) {
	clearTimeout(timer);
	if (!paused && !document.hidden)
		timer = setTimeout(ask, ms);
}

function redraw() {
	if (document_)
		view.draw(document_, events);
}

view.start({
	onFilter: redraw,
	onOpen: redraw,
	onPause(now) {
		paused = now;
		if (paused)
			view.link("paused", "paused");
		schedule(0);
	},
});
document.addEventListener("visibilitychange", () => schedule(0));
schedule(0);
