// What the memory of this machine gives when it is only read: the roof over decoding.
#pragma once

namespace qwell {

// Bytes per second that n threads read together, median of several rounds. Throws std::bad_alloc.
double read_bandwidth(int n_threads);

}  // namespace qwell
