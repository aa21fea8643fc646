//! Single to half precision (IEEE 754 binary16), rounded to the nearest, ties to even.

/// The 16 bits of a number. What [`crate::Rules`] lets pass never becomes infinite by it.
#[must_use]
pub fn half_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    if magnitude >= 0x4780_0000 {
        return sign | 0x7c00;
    }
    // From 2⁻¹⁴ on numbers are normal: the exponent's bias goes from 127 to 15, 13 bits are cut.
    // Below, the number is counted in units of 2⁻²⁴.
    let (cut, kept) = if magnitude >= 0x3880_0000 {
        (13, magnitude - (112 << 23))
    } else if magnitude < 0x3300_0000 {
        return sign;
    } else {
        (126 - (magnitude >> 23), (magnitude & 0x007f_ffff) | 0x0080_0000)
    };
    let whole = kept >> cut;
    let rest = kept & ((1 << cut) - 1);
    let middle = 1 << (cut - 1);
    let up = rest > middle || (rest == middle && whole & 1 == 1);
    // A carry goes into the exponent, as it should.
    sign | (whole + u32::from(up)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The value of 16 bits, by the definition.
    fn value(bits: u16) -> f64 {
        let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
        let exponent = i32::from((bits >> 10) & 0x1f);
        let fraction = f64::from(bits & 0x3ff);
        sign * match exponent {
            0 => fraction * 2_f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
        }
    }

    #[test]
    fn every_half_is_itself() {
        for bits in 0..=u16::MAX {
            let number = value(bits);
            if number.is_nan() {
                assert!(value(half_bits(number as f32)).is_nan());
            } else {
                assert_eq!(half_bits(number as f32), bits, "{number}");
            }
        }
    }

    #[test]
    fn edges() {
        assert_eq!(half_bits(65_519.0), 0x7bff);
        assert_eq!(half_bits(65_520.0), 0x7c00);
        assert_eq!(half_bits(1.0 / 33_554_432.0), 0);
        assert_eq!(half_bits(f32::from_bits((1.0_f32 / 33_554_432.0).to_bits() + 1)), 1);
        assert_eq!(half_bits(-1e39_f64 as f32), 0xfc00);
    }

    /// Of any exponent that a half can hold, or less.
    fn small() -> impl Strategy<Value = f32> {
        (0..0x477f_e000_u32, any::<bool>())
            .prop_map(|(bits, negative)| f32::from_bits(bits | u32::from(negative) << 31))
    }

    proptest! {
        /// No half is nearer, and of two that are as near it is the even one.
        #[test]
        fn it_is_the_nearest(number in prop_oneof![-65_504.0_f32..65_504.0, -1e-3_f32..1e-3, small()]) {
            let bits = half_bits(number);
            let off = (value(bits) - f64::from(number)).abs();
            for neighbour in [bits.wrapping_sub(1), bits.wrapping_add(1)] {
                let other = value(neighbour);
                if other.is_finite() {
                    let its = (other - f64::from(number)).abs();
                    prop_assert!(off < its || (off == its && bits & 1 == 0));
                }
            }
        }
    }
}
