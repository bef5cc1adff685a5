/* What a library that is loaded at run time has: static data. */
void* weir_loaded_zero;                           /* in .bss */
void* weir_loaded_other[3] = {0, (void*)0x10, 0}; /* in .data */
