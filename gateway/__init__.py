"""Metergate: an integration gateway between those who report meter readings and the billing systems that charge for them."""
