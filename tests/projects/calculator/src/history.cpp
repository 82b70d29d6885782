#include "history.hpp"

#include <numeric>

void History::add(std::string expression, double value)
{
    entries_.emplace_back(std::move(expression), value);
}

double History::sum() const
{
    return std::accumulate(entries_.begin(), entries_.end(), 0.0,
                           [](double total, const auto &entry) { return total + entry.second; });
}
