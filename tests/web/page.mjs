/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status page in Chromium: node tests/web/page.mjs URL FOLDER NETNS. Called by tests/system/web.sh, which does what
 * files made in FOLDER ask for: kill (a server), revive (it), stop (the agent). One line a test, as tests/run reads them.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Browser } from "./chromium.mjs";

const [url, folder, netns] = process.argv.slice(2);
const browser = new Browser(["nsenter", `--net=${netns}`, "chromium"]);
const page = await browser.page();
let failed = 0;

async function check(name, run) {
	try {
		const why = await run();

		if (why)
			throw new Error(why);
		console.log(`ok page: ${name}`);
	} catch (error) {
		console.log(`not ok page: ${name}: ${String(error.message).replaceAll("\n", " ").slice(0, 300)}`);
		failed++;
	}
}

const DESKTOP = { width: 1280, height: 900 }, PHONE = { width: 360, height: 740, phone: true };
const text = (selector) => `document.querySelector(${JSON.stringify(selector)})?.textContent ?? ""`;
const ROW = `(name) => [...document.querySelectorAll("#backend-list tbody tr")]
	.find((tr) => tr.querySelector("strong").textContent === name)`;

function request(what) {
	writeFileSync(join(folder, what), "");
}

/* Contrast of an element's text with what is behind it, as WCAG has it. */
const CONTRAST = `(selector) => {
	const parse = (c) => c.match(/[\\d.]+/g).map(Number);
	const light = (c) => parse(c).slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	let e = document.querySelector(selector), behind = e;
	if (!e)
		return 99;
	while (behind && (parse(getComputedStyle(behind).backgroundColor)[3] ?? 1) < 1)
		behind = behind.parentElement;
	const a = light(getComputedStyle(e).color), b = light(getComputedStyle(behind ?? document.body).backgroundColor);
	return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}`;

async function contrastIsEnough(dark) {
	await page.look({ ...DESKTOP, dark });
	for (const selector of [".verdict", ".muted", ".state.good", ".state.bad", "thead th", "footer a", "button", ".result"]) {
		const ratio = await page.ask(`(${CONTRAST})(${JSON.stringify(selector)})`);

		if (ratio < 4.5)
			return `${selector} has ${ratio.toFixed(2)}, 4.5 is needed`;
	}
	return "";
}

try {
	await page.look(DESKTOP);
	await page.open(url);
	await check("it is drawn", () => page.until("the page to be drawn", "document.body?.classList.contains('drawn')").then(() => ""));
	await check("all is well", () => page.until("the verdict", `/All is well: 1 service, 2 of 2/.test(${text("#verdict")})`).then(() => ""));
	await check("the service is there", async () => (await page.ask(text("#service-table tbody"))).includes("web") ? "" : "no row");
	await check("both servers are there, and up", async () => {
		const states = await page.ask(`["node1", "node2"].map((n) => (${ROW})(n).querySelector(".state").textContent)`);

		return states.join() === "up,up" ? "" : `they are ${states}`;
	});
	await check("with address, last check and since when", async () => {
		const row = await page.ask(`(${ROW})("node1").textContent`);

		return /192\.168\.1\.100:80/.test(row) && /L4OK/.test(row) && /for \d/.test(row) ? "" : row;
	});
	await check("rates and plots come to life", () => page.until("a rate and a line",
		`/^[1-9][\\d.]*\\/s/.test((${ROW})("node1").querySelector("td[data-label=New]").textContent) &&
		 (${ROW})("node1").querySelector(".plot .line").getAttribute("d").includes("L")`).then(() => ""));
	await check("the share of connections is about half", () => page.until("a share",
		`((v) => v >= 30 && v <= 70)(parseInt((${ROW})("node1").querySelector(".shares .share > .small:last-child").textContent))`)
		.then(() => ""));
	await check("packets by verdict", () => page.until("a verdict", `/nat request/.test(${text("#verdict-table")})`).then(() => ""));
	await check("events", async () => /ready/.test(await page.ask(text("#event-list"))) ? "" : "no event");

	await check("tables have captions, and heads that say what they are of", async () => await page.ask(`
		[...document.querySelectorAll("table")].filter((t) => !t.caption?.textContent ||
			[...t.querySelectorAll("th")].some((th) => !th.scope)).length`) ? "some have not" : "");
	await check("controls have names", async () => await page.ask(`[...document.querySelectorAll("button, input, summary, a")]
		.filter((e) => !(e.textContent.trim() || e.ariaLabel)).length`) ? "some have not" : "");
	await check("the verdict is announced when it changes", async () =>
		await page.ask(`document.querySelector("#verdict").ariaLive`) === "polite" ? "" : "it is not");
	await check("contrast, light", () => contrastIsEnough(false));
	await check("contrast, dark", () => contrastIsEnough(true));
	await check("dark is dark", async () => {
		const colour = await page.ask("getComputedStyle(document.body).backgroundColor");

		return colour.match(/\d+/g).every((v) => v < 64) ? "" : colour;
	});
	await check("the theme can be chosen", async () => {
		await page.ask(`document.querySelector("#theme").click()`);
		const colour = await page.ask("getComputedStyle(document.body).backgroundColor");

		return colour.match(/\d+/g).every((v) => v > 192) ? "" : colour;
	});
	await page.look(DESKTOP);

	await check("/ leads to the filter, which hides what does not match", async () => {
		await page.press("/", "Slash", "/");
		await page.until("the focus", `document.activeElement.id === "filter"`);
		await page.send("Input.insertText", { text: "node2" });
		await page.until("one server left", `document.querySelectorAll("#backend-list tbody tr").length === 1`);
		await page.press("Escape");
		return page.until("both again", `document.querySelectorAll("#backend-list tbody tr").length === 2`).then(() => "");
	});
	await check("a backend closes by keyboard, and stays closed", async () => {
		await page.ask(`document.querySelector("summary").focus()`);
		await page.press("Enter", "Enter", "\r");
		await page.until("it to close", `!document.querySelector("details").open`);
		const at = await page.ask(text("#instance"));

		await page.until("the next drawing", `${text("#instance")} !== ${JSON.stringify(at)}`);
		if (await page.ask(`document.querySelector("details").open`))
			return "it opened by itself";
		await page.press("Enter", "Enter", "\r");
		return page.until("it to open", `document.querySelector("details").open`).then(() => "");
	});
	await check("the focus survives a drawing", async () => {
		await page.ask(`document.querySelector("summary").focus()`);
		const at = await page.ask(text("#instance"));

		await page.until("the next drawing", `${text("#instance")} !== ${JSON.stringify(at)}`);
		return await page.ask(`document.activeElement.tagName`) === "SUMMARY" ? "" : "it is lost";
	});
	await check("nothing is wider than a phone", async () => {
		await page.look(PHONE);
		const width = await page.ask("document.documentElement.scrollWidth");

		await page.look(DESKTOP);
		return width <= PHONE.width ? "" : `${width} pixels`;
	});

	request("kill");
	await check("a server that dies is shown, and why", () => page.until("node2 to be down",
		`(${ROW})("node2").querySelector(".state").textContent === "down" &&
		 /Connection refused/.test((${ROW})("node2").textContent) && /1 thing needs attention/.test(${text("#verdict")})`)
		.then(() => ""));
	await check("contrast of trouble", async () => await contrastIsEnough(false) || await contrastIsEnough(true));
	await page.look(DESKTOP);
	await check("the event is there", () => page.until("the event", `/web\\/node2 down/.test(${text("#event-list")})`).then(() => ""));
	await check("the title tells it from afar", async () => (await page.ask("document.title")).startsWith("(1) ") ? "" : "it does not");
	request("revive");
	await check("and when it is back", () => page.until("node2 to be up", `/All is well/.test(${text("#verdict")})`).then(() => ""));

	await check("pause stops it, go on goes on", async () => {
		await page.ask(`document.querySelector("#pause").click()`);
		const asked = page.requests.length;

		await new Promise((resolve) => setTimeout(resolve, 3000));
		if (page.requests.length > asked)
			return "it asked while paused";
		await page.ask(`document.querySelector("#pause").click()`);
		return page.until("live", `${text("#link-text")} === "live"`).then(() => "");
	});
	await check("nothing was fetched from elsewhere", async () => {
		const strange = page.requests.filter((r) => !r.startsWith(url));

		return strange.length ? strange.join(" ") : "";
	});
	await check("the console has no complaint", async () => page.complaints.join("; "));

	request("stop");
	await check("an agent that is gone is told of", () => page.until("the notice", `/no answer/.test(${text("#link-text")})`).then(() => ""));
} finally {
	await browser.close();
}
process.exit(failed ? 1 : 0);
