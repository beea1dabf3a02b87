/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A headless Chromium, spoken to in its own protocol over a pair of pipes: no package from outside Debian is needed.
 * Used by page.mjs and shot.mjs. Everything waits for a condition with a deadline; nothing sleeps for luck.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const DEADLINE_MS = 20000, POLL_MS = 50;

export class Browser {
	/* command: what starts Chromium, such as ["nsenter", "--net=...", "chromium"]. */
	constructor(command) {
		const home = mkdtempSync(join(tmpdir(), "alwayson-chromium-"));
		const [program, ...before] = command;

		this.home = home;
		this.next = 1;
		this.waiting = new Map();
		this.listeners = [];
		this.child = spawn(program, [...before, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
			"--disable-background-networking", "--disable-component-update", "--disable-extensions", "--no-first-run",
			"--hide-scrollbars", "--mute-audio", `--user-data-dir=${home}`, "--remote-debugging-pipe", "about:blank"],
			{ stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
		this.errors = "";
		this.child.stderr.on("data", (data) => { this.errors = (this.errors + data).slice(-4000); });
		this.gone = new Promise((resolve) => this.child.on("exit", resolve));
		this.child.on("error", (error) => this.fail(error));
		this.child.on("exit", () => this.fail(new Error(`chromium has ended: ${this.errors}`)));
		this.read(this.child.stdio[4]);
	}

	read(from) {
		let rest = "";

		from.setEncoding("utf8");
		from.on("data", (data) => {
			const parts = (rest + data).split("\0");

			rest = parts.pop();
			for (const part of parts)
				this.take(JSON.parse(part));
		});
	}

	take(message) {
		const waiting = this.waiting.get(message.id);

		if (!waiting) {
			for (const listen of this.listeners)
				listen(message);
			return;
		}
		this.waiting.delete(message.id);
		if (message.error)
			waiting.reject(new Error(message.error.message));
		else
			waiting.resolve(message.result);
	}

	fail(error) {
		for (const { reject } of this.waiting.values())
			reject(error);
		this.waiting.clear();
		this.failed = error;
	}

	send(method, params = {}, sessionId = undefined) {
		if (this.failed)
			return Promise.reject(this.failed);
		return new Promise((resolve, reject) => {
			const id = this.next++;

			this.waiting.set(id, { resolve, reject });
			this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
		});
	}

	async close() {
		await this.send("Browser.close").catch(() => {});
		await Promise.race([this.gone, new Promise((resolve) => setTimeout(resolve, 5000).unref())]);
		this.child.kill("SIGKILL");
		await this.gone;
		rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
	}

	async page() {
		const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
		const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
		const page = new Page(this, sessionId);

		await Promise.all(["Page", "Runtime", "Log", "Network"].map((domain) => page.send(`${domain}.enable`)));
		return page;
	}
}

class Page {
	constructor(browser, session) {
		this.browser = browser;
		this.session = session;
		this.complaints = []; /* errors and warnings of the console, exceptions, refused and failed requests */
		this.requests = [];
		browser.listeners.push((m) => m.sessionId === session && this.hear(m));
	}

	hear({ method, params: p }) {
		if (method === "Runtime.exceptionThrown")
			this.complaints.push(p.exceptionDetails.exception?.description ?? p.exceptionDetails.text);
		else if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(p.type))
			this.complaints.push(p.args.map((a) => a.value ?? a.description).join(" "));
		else if (method === "Log.entryAdded" && ["error", "warning"].includes(p.entry.level))
			this.complaints.push(`${p.entry.text} ${p.entry.url ?? ""}`);
		else if (method === "Network.requestWillBeSent")
			this.requests.push(p.request.url);
	}

	send(method, params) {
		return this.browser.send(method, params, this.session);
	}

	async open(url) {
		const { errorText } = await this.send("Page.navigate", { url });

		if (errorText)
			throw new Error(`${url}: ${errorText}`);
	}

	/* The value of an expression in the page, as JSON has it. */
	async ask(expression) {
		const { result, exceptionDetails } = await this.send("Runtime.evaluate",
			{ expression, returnByValue: true, awaitPromise: true });

		if (exceptionDetails)
			throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
		return result.value;
	}

	async until(what, expression, ms = DEADLINE_MS) {
		const end = Date.now() + ms;

		for (;;) {
			const value = await this.ask(expression);

			if (value)
				return value;
			if (Date.now() > end)
				throw new Error(`waited ${ms / 1000} s in vain for ${what}`);
			await new Promise((resolve) => setTimeout(resolve, POLL_MS));
		}
	}

	/* A window of that size, light or dark. */
	async look({ width, height, dark = false, phone = false }) {
		await this.send("Emulation.setDeviceMetricsOverride",
			{ width, height, deviceScaleFactor: phone ? 2 : 1, mobile: phone });
		await this.send("Emulation.setEmulatedMedia",
			{ features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" },
				{ name: "prefers-reduced-motion", value: "reduce" }] });
	}

	async press(key, code = key, text = undefined) {
		await this.send("Input.dispatchKeyEvent", { type: "keyDown", key, code, text,
			windowsVirtualKeyCode: { Tab: 9, Enter: 13, Escape: 27 }[key] });
		await this.send("Input.dispatchKeyEvent", { type: "keyUp", key, code });
	}

	async shot(whole = true) {
		const { data } = await this.send("Page.captureScreenshot", { format: "png", captureBeyondViewport: whole });

		return Buffer.from(data, "base64");
	}
}
