/* SPDX-License-Identifier: BSD-2-Clause */
/* Light or dark, as the reader chose last: before anything is drawn, so that nothing flashes. */
"use strict";
{
	const names = ["auto", "light", "dark"];
	let now = "auto";

	function apply(name) {
		now = names.includes(name) ? name : "auto";
		if (now === "auto")
			delete document.documentElement.dataset.theme;
		else
			document.documentElement.dataset.theme = now;
	}

	try {
		apply(localStorage.getItem("theme"));
	} catch {
		/* Storage may be forbidden; the system's choice stands. */
	}
	document.addEventListener("DOMContentLoaded", () => {
		const button = document.getElementById("theme");
		const show = () => { button.textContent = `Theme: ${now}`; };

		show();
		button.addEventListener("click", () => {
			apply(names[(names.indexOf(now) + 1) % names.length]);
			show();
			try {
				localStorage.setItem("theme", now);
			} catch {
				/* For this visit only, then. */
			}
		});
	});
}
