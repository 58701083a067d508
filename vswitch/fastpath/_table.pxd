"""Records under keys of 24 bytes: a hash table that never stops to grow.

Theory of operation. Linear hashing: with each record that is added at most one bucket is split in
two, so the table grows by a few steps each time and no frame ever waits for all of it to be moved.
Records live in slabs that stay where they are, so a pointer to one is good until it is removed.
They are also in a list in the order in which they were added, which is how the oldest are found.

The hash has a secret seed, as addresses and ports are chosen by strangers.

Read first: Witold Litwin, "Linear Hashing: A New Tool for File and Table Addressing" (1980).
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

cdef extern from *:
    """
    static inline uint64_t vswitch_mix(uint64_t one, uint64_t other) {
        __extension__ typedef unsigned __int128 wide;
        wide product = (wide)one * other;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    """
    uint64_t vswitch_mix(uint64_t one, uint64_t other) noexcept nogil

cdef enum:
    KEY_WORDS = 3
    KEY_BYTES = 24
    SLAB = 1024
    HEADS = 4096

cdef extern from *:
    """
    #define VSWITCH_NOWHERE UINT32_MAX
    """
    const uint32_t NOWHERE "VSWITCH_NOWHERE"


cdef struct node_t:
    # What each record begins with. Links are numbers of records.
    uint64_t key[KEY_WORDS]
    uint32_t hash
    uint32_t chained
    uint32_t earlier
    uint32_t later


cdef struct table_t:
    size_t stride
    uint64_t seed
    uint8_t **slabs
    uint32_t slab_count
    uint32_t **heads
    uint32_t segment_count
    uint32_t buckets
    uint32_t base
    uint32_t count
    uint32_t spare
    uint32_t first
    uint32_t last


cdef inline node_t *record(const table_t *table, uint32_t number) noexcept nogil:
    return <node_t *>(table.slabs[number >> 10] + (number & (SLAB - 1)) * table.stride)


cdef inline uint32_t *head(const table_t *table, uint32_t bucket) noexcept nogil:
    return &table.heads[bucket >> 12][bucket & (HEADS - 1)]


cdef inline uint32_t hash_of(const table_t *table, const uint64_t *key) noexcept nogil:
    cdef uint64_t mixed = vswitch_mix(key[0] ^ table.seed, key[1] ^ <uint64_t>0x9E3779B97F4A7C15ULL)
    return <uint32_t>vswitch_mix(mixed ^ key[2], table.seed ^ <uint64_t>0xD6E8FEB86659FD93ULL)


cdef inline uint32_t bucket_of(const table_t *table, uint32_t hashed) noexcept nogil:
    cdef uint32_t bucket = hashed & (2 * table.base - 1)
    return bucket if bucket < table.buckets else hashed & (table.base - 1)


cdef inline bint _add_segment(table_t *table) noexcept nogil:
    cdef uint32_t **heads = <uint32_t **>realloc(
        table.heads, (table.segment_count + 1) * sizeof(uint32_t *))
    if heads == NULL:
        return False
    table.heads = heads
    heads[table.segment_count] = <uint32_t *>malloc(HEADS * sizeof(uint32_t))
    if heads[table.segment_count] == NULL:
        return False
    memset(heads[table.segment_count], 0xFF, HEADS * sizeof(uint32_t))
    table.segment_count += 1
    return True


cdef inline bint _add_slab(table_t *table) noexcept nogil:
    cdef uint8_t **slabs = <uint8_t **>realloc(
        table.slabs, (table.slab_count + 1) * sizeof(uint8_t *))
    cdef uint32_t number, begin = table.slab_count * SLAB
    if slabs == NULL:
        return False
    table.slabs = slabs
    slabs[table.slab_count] = <uint8_t *>calloc(SLAB, table.stride)
    if slabs[table.slab_count] == NULL:
        return False
    table.slab_count += 1
    for number in range(begin + SLAB, begin, -1):
        record(table, number - 1).later = table.spare
        table.spare = number - 1
    return True


cdef inline bint open_table(table_t *table, size_t stride, uint64_t seed) noexcept nogil:
    """Begin an empty table of records of `stride` bytes; False where there is no memory."""
    memset(table, 0, sizeof(table_t))
    table.stride, table.seed = stride, seed
    table.spare = table.first = table.last = NOWHERE
    table.buckets = table.base = HEADS
    return _add_segment(table)


cdef inline void close_table(table_t *table) noexcept nogil:
    """Give the memory back."""
    cdef uint32_t number
    for number in range(table.slab_count):
        free(table.slabs[number])
    for number in range(table.segment_count):
        free(table.heads[number])
    free(table.slabs)
    free(table.heads)
    memset(table, 0, sizeof(table_t))


cdef inline node_t *find(const table_t *table, const uint64_t *key) noexcept nogil:
    """The record under `key`, or NULL."""
    cdef uint32_t hashed = hash_of(table, key)
    cdef uint32_t number = head(table, bucket_of(table, hashed))[0]
    cdef node_t *node
    while number != NOWHERE:
        node = record(table, number)
        if (
            node.hash == hashed
            and node.key[0] == key[0]
            and node.key[1] == key[1]
            and node.key[2] == key[2]
        ):
            return node
        number = node.chained
    return NULL


cdef inline bint _split(table_t *table) noexcept nogil:
    """Add one bucket, and move there what belongs there of the one that it is split from."""
    cdef uint32_t into = table.buckets, number, following
    cdef uint32_t *place = head(table, into - table.base)
    cdef uint32_t *target
    cdef node_t *node
    if into >> 12 >= table.segment_count and not _add_segment(table):
        return False
    target = head(table, into)
    number = place[0]
    while number != NOWHERE:
        node = record(table, number)
        following = node.chained
        if node.hash & (2 * table.base - 1) == into:
            place[0] = following
            node.chained = target[0]
            target[0] = number
        else:
            place = &node.chained
        number = following
    table.buckets += 1
    if table.buckets == 2 * table.base:
        table.base *= 2
    return True


cdef inline node_t *add(table_t *table, const uint64_t *key) noexcept nogil:
    """A new record under a `key` that has none, all zero behind its node; NULL without memory."""
    cdef uint32_t number
    cdef uint32_t *place
    cdef node_t *node
    if table.spare == NOWHERE and not _add_slab(table):
        return NULL
    if table.count >= table.buckets and not _split(table):
        return NULL
    number = table.spare
    node = record(table, number)
    table.spare = node.later
    memset(node, 0, table.stride)
    node.key[0], node.key[1], node.key[2] = key[0], key[1], key[2]
    node.hash = hash_of(table, key)
    place = head(table, bucket_of(table, node.hash))
    node.chained = place[0]
    place[0] = number
    node.earlier, node.later = table.last, NOWHERE
    if table.last == NOWHERE:
        table.first = number
    else:
        record(table, table.last).later = number
    table.last = number
    table.count += 1
    return node


cdef inline void remove(table_t *table, node_t *node) noexcept nogil:
    """Take a record out; its key reads zero from then on."""
    cdef uint32_t *place = head(table, bucket_of(table, node.hash))
    cdef uint32_t number
    while record(table, place[0]) != node:
        place = &record(table, place[0]).chained
    number = place[0]
    place[0] = node.chained
    if node.earlier == NOWHERE:
        table.first = node.later
    else:
        record(table, node.earlier).later = node.later
    if node.later == NOWHERE:
        table.last = node.earlier
    else:
        record(table, node.later).earlier = node.earlier
    node.key[0] = node.key[1] = node.key[2] = 0
    node.later = table.spare
    table.spare = number
    table.count -= 1
