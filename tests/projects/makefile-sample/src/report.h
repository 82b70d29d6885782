#pragma once
#include <shape/shape.h>

#include <string>
#include <vector>

std::string report(const std::vector<shape> &shapes);
