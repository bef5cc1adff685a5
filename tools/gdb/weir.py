"""gdb commands for heap addresses, in a live process or a core file, without calling any function:

    (gdb) source tools/gdb/weir.py
    (gdb) weir-object ADDRESS [HEAP]    the object that the address lies in
    (gdb) weir-block ADDRESS [HEAP]     its block

HEAP is an expression for the weir_heap* (default: the heap of a `mutator` or `heap` variable in a
frame of the selected thread). The library must have been built with -g. docs/debugging.md.
"""

import gdb

GRANULE = 16
BLOCK = 64 * 1024
CLASSES = ["free", "leaf", "conservative", "slots", "bitmap", "callback"]


def field(value, *names):
    for name in names:
        value = value[name]
    return value


def unwrap(value):
    """The number in an Address."""
    return int(value["value_"])


def as_heap(expression):
    """weir_heap*, weir_mutator* or either of Weir's own classes, as collector::Heap."""
    value = gdb.parse_and_eval(expression)
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_PTR and "utator" in str(kind.target()):
        mutator = gdb.lookup_type("weir::collector::Mutator").pointer()
        return value.cast(mutator).dereference()["heap_"].referenced_value()
    heap = gdb.lookup_type("weir::collector::Heap").pointer()
    return value.cast(heap).dereference()


def find_heap():
    frame = gdb.selected_frame()
    while frame is not None and frame.is_valid():
        for name in ("mutator", "heap"):
            try:
                value = frame.read_var(name)
            except (ValueError, gdb.error):
                continue
            kind = str(value.type.strip_typedefs())
            if kind in ("weir_mutator *", "weir_heap *") and int(value) != 0:
                return as_heap(f"({kind}){int(value)}")
        frame = frame.older()
    raise gdb.GdbError("no `mutator` or `heap` in this thread's frames: give the heap as an argument")


class Region:
    """What the tables beside the heap say of an address."""

    def __init__(self, heap):
        # A unique_ptr is a pointer; how libstdc++ wraps it differs between versions.
        pointer = gdb.lookup_type("weir::heap::Space").pointer().pointer()
        space = heap["space_"].address.cast(pointer).dereference().dereference()
        self.epoch = int(space["epoch_"])
        self.space = space
        region = space["region_"]
        self.begin = unwrap(field(region, "objects_", "begin"))
        self.size = int(region["committed_"]) * BLOCK
        self.bias = int(field(region, "metadata_", "bias_"))
        self.blocks = region["blocks_"]
        self.owners = region["unit_owners_"]
        self.unit_shift = int(region["unit_shift_"])

    def contains(self, address):
        return self.begin <= address < self.begin + self.size

    def block_start(self, address):
        return self.begin + (address - self.begin) // BLOCK * BLOCK

    def block(self, address):
        return self.blocks[(address - self.begin) // BLOCK]

    def state(self, address):
        return str(self.block(address)["state_"]["_M_i"]).rpartition("::")[2]

    def bytes_of(self, block):
        table = gdb.selected_inferior().read_memory(self.bias + block // GRANULE, BLOCK // GRANULE)
        return [value if isinstance(value, int) else ord(value) for value in table]

    def kind_name(self, number, trace_class):
        if number == 0:
            return f"built in: {trace_class}"
        name = field(self.space, "kinds_", "kinds_", "_M_elems")[number]["name"]
        return f"{name.format_string()} ({trace_class})"


def describe(region, address):
    state = region.state(address)
    if state in ("unused", "free"):
        return f"no object: in a block that is {state}"
    block = region.block_start(address)
    table = region.bytes_of(block)
    if state == "large":
        owner = int(region.owners[(address - region.begin) >> region.unit_shift])
        if owner == 0:
            return "no object: a free unit among large objects"
        record = field(region.space, "large_", "records_", "memory_", "first_")[owner - 1]
        start = unwrap(field(record, "range", "begin"))
        size = int(field(record, "range", "size"))
        number = int(record["kind"]["value_"]) >> 8 & 0xFF
        first = region.bytes_of(region.block_start(start))[(start % BLOCK) // GRANULE]
    else:
        at = (address - block) // GRANULE
        while at >= 0 and not table[at] & 0x80:
            at -= 1
        if at < 0 or table[at] >> 2 & 7 == 0:
            return f"no object: free memory in a block that is {state}"
        end = next((i for i in range(at + 1, len(table)) if table[i] & 0x80), len(table))
        start, size, first = block + at * GRANULE, (end - at) * GRANULE, table[at]
        number = table[at + 1] if end - at > 1 else 0
    mark = first & 3
    if mark == region.epoch:
        found = "marked: the last collection (or the one in progress) found it alive"
    elif mark == 0:
        found = "not marked: allocated since the last collection"
    else:
        found = "marked in an earlier collection: dead"
    lines = [
        f"object  {start:#x}, offset {address - start} of {size} bytes",
        f"kind    {region.kind_name(number, CLASSES[first >> 2 & 7])}",
        f"mark    {mark}, epoch {region.epoch}: {found}",
    ]
    if state == "owned":
        lines.append("size    up to the next start: too large for the last object of a span in use")
    return "\n".join(lines)


class WeirCommand(gdb.Command):
    def __init__(self, name, is_block):
        super().__init__(name, gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)
        self.is_block = is_block

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if not 1 <= len(words) <= 2:
            raise gdb.GdbError("usage: ADDRESS [HEAP]; docs/debugging.md")
        address = int(gdb.parse_and_eval(words[0]).cast(gdb.lookup_type("unsigned long")))
        heap = as_heap(words[1]) if len(words) == 2 else find_heap()
        region = Region(heap)
        print(f"heap    {int(heap.address):#x}, objects in [{region.begin:#x}, {region.begin + region.size:#x})")
        if not region.contains(address):
            print(f"{address:#x} is not in this heap")
            return
        leaf = ", leaves only" if bool(region.block(address)["leaf"]) else ""
        print(f"block   {region.block_start(address):#x}, {region.state(address)}{leaf}")
        if not self.is_block:
            print(describe(region, address))


WeirCommand("weir-object", False)
WeirCommand("weir-block", True)
