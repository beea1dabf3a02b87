/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/acls.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "table/access.h"

int acls_init(struct acls *a, uint64_t *map4, struct access_bound6 *map6)
{
	memset(a, 0, sizeof(*a));
	a->map4 = map4;
	a->map6 = map6;
	return region_init(&a->free4, ACCESS_BOUNDS4) || region_init(&a->free6, ACCESS_BOUNDS6) ? -ENOMEM : 0;
}

static void lists_done(struct acls *a)
{
	for (size_t i = 0; i < a->lists.count; i++)
		vec_done(&a->lists.items[i].prefixes);
	vec_done(&a->lists);
}

void acls_done(struct acls *a)
{
	lists_done(a);
	vec_done(&a->parts);
	region_done(&a->free4);
	region_done(&a->free6);
}

static int compare_prefixes(const void *a, const void *b)
{
	const struct model_prefix *x = a, *y = b;
	const int order = addr_compare(&x->addr, &y->addr);

	return order ? order : (int)x->length - (int)y->length;
}

/* A copy of one list, sorted, each prefix once. */
static int copy_list(const struct model_acl *from, struct acl *to)
{
	size_t kept = 0;

	if (!from->prefixes.count)
		return 0;
	to->prefixes.items = malloc(from->prefixes.count * sizeof(*to->prefixes.items));
	if (!to->prefixes.items)
		return -ENOMEM;
	to->prefixes.capacity = from->prefixes.count;
	memcpy(to->prefixes.items, from->prefixes.items, from->prefixes.count * sizeof(*to->prefixes.items));
	qsort(to->prefixes.items, from->prefixes.count, sizeof(*to->prefixes.items), compare_prefixes);
	for (size_t i = 0; i < from->prefixes.count; i++)
		if (!kept || compare_prefixes(&to->prefixes.items[kept - 1], &to->prefixes.items[i]))
			to->prefixes.items[kept++] = to->prefixes.items[i];
	to->prefixes.count = kept;
	return 0;
}

int acls_set_model(struct acls *a, const struct model *m)
{
	struct acls new = {};
	int e = 0;

	for (size_t i = 0; e == 0 && i < m->acls.count; i++) {
		struct acl *to = vec_push(&new.lists);

		e = to ? copy_list(&m->acls.items[i], to) : -ENOMEM;
	}
	if (e < 0) {
		lists_done(&new);
		return e;
	}
	lists_done(a);
	a->lists.items = new.lists.items;
	a->lists.count = new.lists.count;
	a->lists.capacity = new.lists.capacity;
	a->model = m;
	model_count_prefixes(m, &a->prefixes4, &a->prefixes6);
	for (size_t i = 0; i < a->parts.count; i++)
		a->parts.items[i].policy = 0;
	return 0;
}

int acls_adopt(struct acls *a, bool v6, uint64_t word)
{
	const struct region region = { .offset = word >> 32, .size = (uint32_t)word };
	struct acl_part *part;

	if (!region.size || region_take_at(v6 ? &a->free6 : &a->free4, region) < 0)
		return 0; /* another service of the policy has brought it */
	part = vec_push(&a->parts);
	if (!part)
		return -ENOMEM;
	*part = (struct acl_part){ .v6 = v6, .region = region };
	return 0;
}

void acls_unwant_all(struct acls *a)
{
	for (size_t i = 0; i < a->parts.count; i++)
		a->parts.items[i].wanted = false;
}

void acls_free_unwanted(struct acls *a)
{
	for (size_t i = 0; i < a->parts.count;) {
		struct acl_part *part = &a->parts.items[i];

		if (part->wanted) {
			i++;
			continue;
		}
		region_give(part->v6 ? &a->free6 : &a->free4, part->region);
		*part = a->parts.items[--a->parts.count];
	}
}

static int rule_ranges(const struct acls *a, const struct model_rule *rule, uint8_t family, struct access_ranges *to)
{
	struct access_ranges listed = {}, others = {};
	int e = 0;

	for (size_t l = 0; l < rule->list_count; l++) {
		const struct acl *list = &a->lists.items[rule->lists[l]];

		for (size_t i = 0; e == 0 && i < list->prefixes.count; i++)
			if (list->prefixes.items[i].addr.family == family)
				e = access_add(&listed, &list->prefixes.items[i].addr, list->prefixes.items[i].length);
	}
	access_merge(&listed);
	if (e == 0 && rule->negated)
		e = access_invert(&listed, family, &others);
	if (e == 0)
		e = access_add_all(to, rule->negated ? &others : &listed);
	vec_done(&listed);
	vec_done(&others);
	return e;
}

/* The bounds of whom the policy rejects. */
static int policy_bounds(const struct acls *a, size_t policy, uint8_t family, access_number **ret, size_t *ret_count)
{
	const struct model_policy *p = &a->model->policies.items[policy - 1];
	struct access_ranges all = {};
	int e = 0;

	for (size_t i = 0; e == 0 && i < p->rules.count; i++)
		e = rule_ranges(a, &p->rules.items[i], family, &all);
	access_merge(&all);
	*ret = e ? NULL : malloc((2 * all.count + 1) * sizeof(**ret));
	if (*ret)
		*ret_count = access_bounds(&all, family, *ret);
	vec_done(&all);
	return *ret ? 0 : -ENOMEM;
}

static bool same_bounds(const struct acls *a, const struct acl_part *part, const access_number *bounds, size_t count)
{
	if (part->region.size != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct access_bound6 *b = &a->map6[part->region.offset + i];

		if (part->v6 ? b->high != (uint64_t)(bounds[i] >> 64) || b->low != (uint64_t)bounds[i] :
			       a->map4[part->region.offset + i] != (uint64_t)bounds[i])
			return false;
	}
	return true;
}

static void write_bounds(struct acls *a, const struct acl_part *part, const access_number *bounds)
{
	for (size_t i = 0; i < part->region.size; i++)
		if (part->v6)
			a->map6[part->region.offset + i] = (struct access_bound6){ .high = bounds[i] >> 64,
										   .low = bounds[i] };
		else
			a->map4[part->region.offset + i] = bounds[i];
}

/* A part with this content: one that is there, or a new one. */
static int take_part(struct acls *a, bool v6, const access_number *bounds, size_t count, struct acl_part **ret)
{
	struct acl_part *part;
	struct region region;
	int e;

	for (size_t i = 0; i < a->parts.count; i++) {
		part = &a->parts.items[i];
		if (part->v6 == v6 && !part->policy && same_bounds(a, part, bounds, count)) {
			*ret = part;
			return 0;
		}
	}
	e = region_take(v6 ? &a->free6 : &a->free4, (uint32_t)count, &region);
	if (e < 0)
		return e;
	part = vec_push(&a->parts);
	if (!part) {
		region_give(v6 ? &a->free6 : &a->free4, region);
		return -ENOMEM;
	}
	*part = (struct acl_part){ .v6 = v6, .region = region };
	write_bounds(a, part, bounds);
	*ret = part;
	return 0;
}

int acls_word(struct acls *a, size_t policy, bool v6, uint64_t *ret)
{
	_cleanup_free_ access_number *bounds = NULL;
	struct acl_part *part = NULL;
	size_t count = 0;
	int e;

	*ret = 0;
	if (!policy)
		return 0;
	for (size_t i = 0; !part && i < a->parts.count; i++)
		if (a->parts.items[i].policy == policy && a->parts.items[i].v6 == v6)
			part = &a->parts.items[i];
	if (!part) {
		e = policy_bounds(a, policy, v6 ? AF_INET6 : AF_INET, &bounds, &count);
		if (e == 0)
			e = take_part(a, v6, bounds, count, &part);
		if (e < 0)
			return e;
		part->policy = policy;
	}
	part->wanted = true;
	*ret = part->region.size ? (uint64_t)part->region.offset << 32 | part->region.size : 0;
	return 0;
}

/* Where the prefix is, or would be. */
static size_t place_of(const struct acl *list, const struct model_prefix *prefix, bool *ret_found)
{
	size_t low = 0, high = list->prefixes.count;

	while (low < high) {
		const size_t middle = (low + high) / 2;

		if (compare_prefixes(&list->prefixes.items[middle], prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = low < list->prefixes.count && compare_prefixes(&list->prefixes.items[low], prefix) == 0;
	return low;
}

/* How many of a policy's conditions name the list. */
static size_t uses_of(const struct acls *a, size_t policy, size_t list)
{
	const struct model_policy *p = &a->model->policies.items[policy];
	size_t n = 0;

	for (size_t r = 0; r < p->rules.count; r++)
		for (size_t l = 0; l < p->rules.items[r].list_count; l++)
			n += p->rules.items[r].lists[l] == list;
	return n;
}

static size_t uses(const struct acls *a, size_t list)
{
	size_t n = 0;

	for (size_t i = 0; i < a->model->policies.count; i++)
		n += uses_of(a, i, list);
	return n;
}

/* The list is another: so is what was laid out of it. */
static void changed(struct acls *a, size_t list)
{
	a->lists.items[list].changes++;
	for (size_t i = 0; i < a->parts.count; i++)
		if (a->parts.items[i].policy && uses_of(a, a->parts.items[i].policy - 1, list))
			a->parts.items[i].policy = 0;
}

int acls_add(struct acls *a, size_t list, const struct model_prefix *prefix)
{
	struct acl *l = &a->lists.items[list];
	size_t *used = prefix->addr.family == AF_INET6 ? &a->prefixes6 : &a->prefixes4;
	const size_t max = prefix->addr.family == AF_INET6 ? MODEL_PREFIXES6_MAX : MODEL_PREFIXES4_MAX;
	const size_t more = uses(a, list);
	bool found;
	size_t at = place_of(l, prefix, &found);

	if (found)
		return 0;
	if (*used + more > max)
		return -ENOSPC;
	if (!vec_push(&l->prefixes))
		return -ENOMEM;
	memmove(&l->prefixes.items[at + 1], &l->prefixes.items[at],
		(l->prefixes.count - 1 - at) * sizeof(*l->prefixes.items));
	l->prefixes.items[at] = *prefix;
	*used += more;
	changed(a, list);
	return 1;
}

int acls_delete(struct acls *a, size_t list, const struct model_prefix *prefix)
{
	struct acl *l = &a->lists.items[list];
	bool found;
	size_t at = place_of(l, prefix, &found);

	if (!found)
		return 0;
	*(prefix->addr.family == AF_INET6 ? &a->prefixes6 : &a->prefixes4) -= uses(a, list);
	memmove(&l->prefixes.items[at], &l->prefixes.items[at + 1],
		(l->prefixes.count - 1 - at) * sizeof(*l->prefixes.items));
	l->prefixes.count--;
	changed(a, list);
	return 1;
}

int acls_clear(struct acls *a, size_t list)
{
	struct acl *l = &a->lists.items[list];
	const size_t used = uses(a, list);

	if (!l->prefixes.count)
		return 0;
	for (size_t i = 0; i < l->prefixes.count; i++)
		*(l->prefixes.items[i].addr.family == AF_INET6 ? &a->prefixes6 : &a->prefixes4) -= used;
	l->prefixes.count = 0;
	changed(a, list);
	return 1;
}

const struct model_prefix *acls_match(const struct acls *a, size_t list, const struct addr *addr)
{
	const struct acl *l = &a->lists.items[list];
	const struct model_prefix *best = NULL;

	for (size_t i = 0; i < l->prefixes.count; i++) {
		const struct model_prefix *p = &l->prefixes.items[i];
		const struct addr masked = p->addr.family == addr->family ? addr_mask(addr, p->length) : (struct addr){};

		if (p->addr.family == addr->family && addr_equal(&masked, &p->addr) &&
		    (!best || p->length >= best->length))
			best = p;
	}
	return best;
}
