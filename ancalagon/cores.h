// The processor cores that this process may use.
#pragma once

void cores_count(int *physical, int *logical); // at least 1 each
