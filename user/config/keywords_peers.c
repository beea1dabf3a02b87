/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keywords of a peers section. Read through keywords.h; rows only, sorted.
 */
#include "config/keywords_table.h"

#define WHY_ONE_LINE "write `peer NAME ADDRESS:PORT`, and `bind ADDRESS:PORT` where this balancer listens elsewhere"

static const struct keyword keywords_peers_items[] = {
	WORKS("bind", 0, 1, 1, "ADDRESS:PORT", peers_bind),
	REFUSED("default-bind", 0, 0, WHY_ONE_LINE),
	REFUSED("default-server", 0, 0, WHY_ONE_LINE),
	REFUSED("disabled", 0, 0, "leave `flows peers` out where no records are to travel"),
	NOTICE("enabled", 0, 0, "it is enabled where `flows peers` names it"),
	NOTICE("log", 0, 0, "peers that come and go are events like others: they go where the global `log` lines say"),
	WORKS("peer", 0, 2, KEYWORD_ANY, "NAME ADDRESS:PORT [source-pool ADDRESS[:LOW-HIGH]]...", peer),
	REFUSED("server", 0, 0, WHY_ONE_LINE),
	REFUSED("table", 0, 0, WHY_STICK),
};

KEYWORD_TABLE(keywords_peers, "keyword", "", " of a peers section");
