/* strace: -s 10 */
#include "escapes.h"
