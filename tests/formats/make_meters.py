"""The meters whose templates the samples fill in."""

from decimal import Decimal

from gateway.domain.supply import Meter, Register


def meters() -> list[Meter]:
    """Three meters of an agreement: two zones, one register with A-, one with decimals."""

    def meter(number: int, serial: str, location: str, *registers: tuple[str, int, str]) -> Meter:
        made = tuple(
            Register(id=number * 10 + order, code=code, digits=6, decimals=decimals, last=Decimal(last), last_period="2022-09")
            for order, (code, decimals, last) in enumerate(registers)
        )
        return Meter(
            id=number,
            serial=serial,
            agreement="90034",
            agreement_id=1,
            point=f"{51260 + number}",
            point_name=f"ИК {number}",
            location=location,
            location_name=f"Объект {location}",
            registers=made,
        )

    return [
        meter(1, "01284918", "70001", ("A+:day", 1, "1430.5"), ("A+:night", 1, "700")),
        meter(2, "13 300963", "70001", ("A+", 0, "12400"), ("A-", 0, "3")),
        meter(3, "ИКТ-258", "70002", ("A+", 2, "100.25")),
    ]
