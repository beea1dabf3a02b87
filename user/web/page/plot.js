/* SPDX-License-Identifier: BSD-2-Clause */
/* Small live plots as inline SVG: a line over the last minutes. Called by view.js; knows nothing of what is plotted. */

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 32, WIDTH = 120, FEW = 30;

/* An empty plot; the numbers beside it say the same, so it is hidden from screen readers. */
export function plot() {
	const svg = document.createElementNS(SVG, "svg");
	const area = document.createElementNS(SVG, "path");
	const line = document.createElementNS(SVG, "path");

	svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
	svg.setAttribute("preserveAspectRatio", "none");
	svg.setAttribute("aria-hidden", "true");
	svg.setAttribute("class", "plot");
	area.setAttribute("class", "area");
	line.setAttribute("class", "line");
	svg.append(area, line);
	return svg;
}

/* values: oldest first, null where unknown. They fill the width, once there are a few; the newest is at the right edge. */
export function plotDraw(svg, values) {
	const top = Math.max(...values.filter((v) => v != null), 0);
	const step = WIDTH / Math.max(FEW, values.length - 1);
	const y = (v) => (HEIGHT - 2 - (top > 0 ? v / top : 0) * (HEIGHT - 4)).toFixed(1);
	let line = "", area = "", first = null, last = null;

	values.forEach((v, i) => {
		if (v == null)
			return;
		const x = (WIDTH - (values.length - 1 - i) * step).toFixed(1);

		line += `${line ? "L" : "M"}${x} ${y(v)}`;
		first ??= x;
		last = x;
	});
	if (line)
		area = `${line}L${last} ${HEIGHT}L${first} ${HEIGHT}Z`;
	svg.children[0].setAttribute("d", area);
	svg.children[1].setAttribute("d", line);
}
