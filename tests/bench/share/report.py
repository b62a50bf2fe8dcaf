"""The table: a figure a subject, and how Berth stands to the others: above 1 Berth is faster, whatever the unit."""


def ratio(row, ours, theirs):
    mine, other = row["figures"].get(ours), row["figures"].get(theirs)
    if not mine or not other:
        return None
    return other / mine if row["unit"] == "s" else mine / other


def number(value, unit):
    if value is None:
        return "-"
    if unit == "s":
        return f"{value:.3f} s"
    if unit == "B/s":
        return f"{value / 2**20:,.0f} MiB/s"
    return f"{value:,.0f}/s"


def table(rows, names):
    """One group's rows: the figures, then the ratios."""
    names = [name for name in names if any(name in row["figures"] for row in rows.values())]
    peers = [name for name in ["native", "bindfs", "mergerfs"] if name in names]
    ratios = [(ours, peer) for ours in ["berth", "point", "pair"] if ours in names
              for peer in peers if ours == "berth" or peer != "native"]
    width = 42
    lines = ["", f"{next(iter(rows.values()))['group']:{width}}" + "".join(f"{name:>13}" for name in names) +
             "".join(f"{ours + '/' + theirs:>15}" for ours, theirs in ratios)]
    for name, row in rows.items():
        lines.append(f"{name:{width}}" + "".join(f"{number(row['figures'].get(subject), row['unit']):>13}" for subject in names) +
                     "".join(f"{'-' if value is None else format(value, '.2f'):>15}"
                             for value in (ratio(row, *pair) for pair in ratios)))
    return "\n".join(lines)


def report(results):
    machine = results["machine"]
    print(f"Linux {machine['kernel']}, {machine['cpus']} CPUs, load {machine['load']:.1f} at the start"
          f"{', measured at real-time priority' if machine['realtime'] else ''}; {machine['directory']} on "
          f"{machine['file_system']}; kernel passthrough {'on' if machine['passthrough'] else 'off'}; best of {machine['rounds']} "
          f"round{'s' * (machine['rounds'] > 1)}; {machine['took']:.0f} s")
    for subject in results["subjects"]:
        print(f"  {subject['name']:10}{subject['how']}")
    names = [subject["name"] for subject in results["subjects"]]
    for group in dict.fromkeys(row["group"] for row in results["rows"].values()):
        print(table({name: row for name, row in results["rows"].items() if row["group"] == group}, names))
    for figures in results["figures"].values():
        print()
        for what, value, unit in figures:
            print(f"{what:60}{format(value, ',.0f') if unit in ['', 'B'] else format(value, ',.3f'):>14} {unit}".rstrip())
