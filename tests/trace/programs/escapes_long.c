/* strace: -s 1000 */
#include "escapes.h"
