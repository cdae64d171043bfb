/* strace: -v -s 0 */
#include "escapes.h"
