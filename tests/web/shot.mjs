/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pictures of the status page, to be looked at: node tests/web/shot.mjs URL FOLDER [-- COMMAND THAT STARTS CHROMIUM]
 * makes desktop and phone, light and dark.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Browser } from "./chromium.mjs";

const [url, folder] = process.argv.slice(2);
const split = process.argv.indexOf("--");
const browser = new Browser(split < 0 ? ["chromium"] : process.argv.slice(split + 1));

try {
	const page = await browser.page();
	const wait = Number(process.env.WAIT_S ?? 10);

	for (const [name, look] of Object.entries({
		"desktop-light": { width: 1280, height: 900 }, "desktop-dark": { width: 1280, height: 900, dark: true },
		"phone-light": { width: 390, height: 844, phone: true }, "phone-dark": { width: 390, height: 844, phone: true, dark: true },
	})) {
		await page.look(look);
		if (name === "desktop-light") {
			await page.open(url);
			await page.until("the page to be drawn", "document.body?.classList.contains('drawn')");
			await new Promise((resolve) => setTimeout(resolve, wait * 1000));
		}
		const { width, height } = await page.ask(
			"({ width: document.documentElement.scrollWidth, height: document.documentElement.scrollHeight })");

		await page.look({ ...look, height });
		writeFileSync(join(folder, `${name}.png`), await page.shot(false));
		console.log(`${name}: ${width} x ${height}`);
	}
	for (const complaint of page.complaints)
		console.log(`complaint: ${complaint}`);
} finally {
	await browser.close();
}
