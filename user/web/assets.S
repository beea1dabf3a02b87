/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of page/, between a symbol before and one behind each. Read by assets.c. The paths are those of the source
 * tree's root, where make runs.
 */
	.macro asset name, path
	.globl asset_\name, asset_\name\()_end
asset_\name:
	.incbin "\path"
asset_\name\()_end:
	.byte 0
	.endm

	.section .rodata
	asset index, "user/web/page/index.html"
	asset style, "user/web/page/style.css"
	asset app, "user/web/page/app.js"
	asset format, "user/web/page/format.js"
	asset history, "user/web/page/history.js"
	asset plot, "user/web/page/plot.js"
	asset theme, "user/web/page/theme.js"
	asset view, "user/web/page/view.js"
	asset icon, "user/web/page/icon.svg"

	.section .note.GNU-stack,"",%progbits
