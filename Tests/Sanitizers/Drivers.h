// What the driver of the kernels calls: all of them over shapes that fill vectors and that do not.
#pragma once

void check_rows();
void check_convolutions();
void check_attention();
void check_class_sums();
