/* Strings as they are printed by default. */
#include "escapes.h"
