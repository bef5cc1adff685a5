# Loaded before a program: mruby as it is without generations.
GC.generational_mode = false
