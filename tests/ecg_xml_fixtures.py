"""Constructed XML recordings, written from the formats' description; SECRETNAME stands wherever a person is named."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping

import numpy as np

CANARY = "SECRETNAME"
STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
TWELVE = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
Counts = Mapping[str, np.ndarray]


def stored_counts(samples: int = 50, seed: int = 0, leads: tuple[str, ...] = STORED) -> dict[str, np.ndarray]:
    """Return small random counts; even, so that halves of limb leads are whole."""
    generator = np.random.default_rng(seed)
    return {lead: 2 * generator.integers(-200, 200, samples) for lead in leads}


def twelve_counts(samples: int = 50, seed: int = 0) -> dict[str, np.ndarray]:
    """Return counts of twelve leads that keep Einthoven's and Goldberger's equations to the count."""
    counts = stored_counts(samples, seed)
    one, two = counts["I"], counts["II"]
    limb = {"III": two - one, "aVR": -(one + two) // 2, "aVL": one - two // 2, "aVF": two - one // 2}
    return {lead: {**counts, **limb}[lead] for lead in TWELVE}


def muse_waveform(counts: Counts, *, kind: str = "Rhythm", base: str = "500", exponent: str = "0",
                  per_bit: str = "4.88", unit: str = "MICROVOLTS", total: int | None = None, off: tuple[str, ...] = (),
                  checksum: bool = True) -> str:  # fmt: skip
    leads = "".join(
        f"<LeadData><LeadByteCountTotal>{2 * len(values)}</LeadByteCountTotal><LeadTimeOffset>0</LeadTimeOffset>"
        f"<LeadSampleCountTotal>{len(values) if total is None else total}</LeadSampleCountTotal>"
        f"<LeadAmplitudeUnitsPerBit>{per_bit}</LeadAmplitudeUnitsPerBit><LeadAmplitudeUnits>{unit}</LeadAmplitudeUnits>"
        f"<LeadID>{lead}</LeadID><LeadSampleSize>2</LeadSampleSize><LeadOff>{str(lead in off).upper()}</LeadOff>"
        + (f"<LeadDataCRC32>{zlib.crc32(values.astype('<i2').tobytes())}</LeadDataCRC32>" if checksum else "")
        + f"<WaveFormData>\n{_wrapped(values.astype('<i2').tobytes())}\n   </WaveFormData></LeadData>\n"
        for lead, values in counts.items()
    )
    return (
        f"<Waveform><WaveformType>{kind}</WaveformType><NumberofLeads>{len(counts)}</NumberofLeads>"
        f"<SampleBase>{base}</SampleBase><SampleExponent>{exponent}</SampleExponent>"
        "<HighPassFilter>16</HighPassFilter><LowPassFilter>150</LowPassFilter><ACFilter>60</ACFilter>"
        f"{leads}</Waveform>\n"
    )


def muse_xml(*waveforms: str, encoding: str = "ISO-8859-1", date: str = "03-27-2016") -> bytes:
    """Return a Muse file of the given rhythm and median waveforms."""
    person = "".join(
        f"<{tag}>{CANARY}</{tag}>"
        for tag in ("PatientID", "PatientLastName", "PatientFirstName", "DateofBirth", "MRN", "Race")
    )
    staff = "".join(
        f"<{role}{part}>{CANARY}</{role}{part}>"
        for role in ("Overreader", "Referring", "Ordering", "AcquisitionTech", "AttendingMD")
        for part in ("LastName", "FirstName", "ID")
    )
    lines = (
        ("Sinus rhythm", "ENDSLINE"), ("When compared with ECG of 12-JAN-2010 09:15,", "ENDSLINE"),
        ("Atrial premature complexes\xa0now present", "ENDSLINE"), (f"Seen by me, {CANARY}", "USERINSERT"),
        (f"Confirmed by {CANARY}, M.D. (1008) on 2/9/2015 11:10:33 AM", "ENDSLINE"),
        (f"Discussed with {CANARY} 7654321", "ENDSLINE"),
    )  # fmt: skip
    diagnosis = "".join(
        f"<DiagnosisStatement><StmtFlag>{flag}</StmtFlag><StmtText>{text}</StmtText></DiagnosisStatement>"
        for text, flag in lines
    )
    text = f"""<?xml version="1.0" encoding="{encoding}"?>
<!DOCTYPE RestingECG SYSTEM "restecg.dtd">
<RestingECG><MuseInfo><MuseVersion>9.0</MuseVersion></MuseInfo>
<PatientDemographics>{person}</PatientDemographics>
<TestDemographics><DataType>RESTING</DataType><Site>{CANARY}</Site><AcquisitionDevice>MAC55</AcquisitionDevice>
<AcquisitionTime>14:05:09</AcquisitionTime><AcquisitionDate>{date}</AcquisitionDate>{staff}</TestDemographics>
<Order><OrderNumber>{CANARY}</OrderNumber><AdmitDiagnosis>{CANARY}</AdmitDiagnosis></Order>
<RestingECGMeasurements><VentricularRate>57</VentricularRate><QRSDuration>96</QRSDuration><PAxis>-12</PAxis>
<QOnset>216</QOnset><ECGSampleBase>500</ECGSampleBase><SECRETNAME>5</SECRETNAME></RestingECGMeasurements>
<Diagnosis><Modality>RESTING</Modality>{diagnosis}</Diagnosis>
<OriginalDiagnosis><DiagnosisStatement><StmtText>Original only</StmtText></DiagnosisStatement></OriginalDiagnosis>
<ExtraQuestions><ExtraQuestion><Question>COMMENT</Question><Answer>{CANARY}</Answer></ExtraQuestion></ExtraQuestions>
{"".join(waveforms)}</RestingECG>
"""
    return text.encode(encoding)


def aecg_set(counts: Counts, *, step: str = "2", time_unit: str = "ms", scale: str = "2.5", unit: str = "uV",
             origin: str = "0", time: str = "GLIST_PQ") -> str:  # fmt: skip
    """Return one set of simultaneous sequences."""
    leads = "".join(
        f'<component><sequence><code code="MDC_ECG_LEAD_{lead.upper()}"/><value xsi:type="SLIST_PQ">'
        f'<origin value="{origin}" unit="{unit}"/><scale value="{scale}" unit="{unit}"/>'
        f"<digits> {' '.join(map(str, values))}\n </digits></value></sequence></component>\n"
        for lead, values in counts.items()
    )
    return (
        '<component><sequenceSet><component><sequence><code code="TIME_RELATIVE"/>'
        f'<value xsi:type="{time}"><head value="0"/><increment value="{step}" unit="{time_unit}"/></value></sequence>'
        f"</component>{leads}</sequenceSet></component>"
    )


def aecg_series(*sets: str, kind: str = "RHYTHM", extra: str = "") -> str:
    person = f"<assignedPerson><name>{CANARY}</name></assignedPerson>"
    return f"""<component><series><id root="{CANARY}"/><code code="{kind}"/>
<effectiveTime><low value="20160307090530.250+0100"/><high value="20160307090540"/></effectiveTime>
<author><seriesAuthor><manufacturedSeriesDevice><id extension="{CANARY}"/>
<manufacturerModelName>ELI250</manufacturerModelName></manufacturedSeriesDevice>
<manufacturerOrganization><name>Mortara</name></manufacturerOrganization></seriesAuthor></author>
<secondaryPerformer><seriesPerformer><id extension="{CANARY}"/>{person}</seriesPerformer></secondaryPerformer>
{_aecg_filter("HIGH_PASS", "CUTOFF_FREQ", "0.05")}{_aecg_filter("LOW_PASS", "CUTOFF_FREQ", "150")}
{_aecg_filter("NOTCH", "NOTCH_FREQ", "50")}{"".join(sets)}{extra}</series></component>"""


def aecg_derivation(counts: Counts) -> str:
    """Return a representative beat, which must never be taken for the rhythm."""
    return (
        f'<derivation><derivedSeries><code code="REPRESENTATIVE_BEAT"/>{aecg_set(counts)}</derivedSeries></derivation>'
    )


def aecg_annotations() -> str:
    """Return global measurements, one of a single lead, an interpretation and a comment."""
    statement = "".join(
        f'<component><annotation><code code="MDC_ECG_INTERPRETATION_{kind}"/><value xsi:type="ST">{text}</value>'
        "</annotation></component>"
        for kind, text in (
            ("STATEMENT", "Sinus rhythm"),
            ("STATEMENT", f"Reviewed by {CANARY}"),
            ("COMMENT", CANARY),
            ("STATEMENT", f"Normal ECG of {CANARY}"),
        )
    )
    boundary = '<component><boundary><code code="MDC_ECG_LEAD_V2"/></boundary></component>'
    return f"""<subjectOf><annotationSet><author><assignedEntity><id extension="{CANARY}"/></assignedEntity></author>
<component><annotation><code code="MDC_ECG_TIME_PD_QRS"/><value xsi:type="PQ" value="96" unit="ms"/></annotation>
</component><component><annotation><code code="MDC_ECG_TIME_PD_QT"/><value xsi:type="PQ" value="400" unit="ms"/>
<support><supportingROI>{boundary}</supportingROI></support></annotation></component>
<component><annotation><code code="MDC_ECG_INTERPRETATION"/>{statement}</annotation></component>
</annotationSet></subjectOf>"""


def hl7_aecg(*series: str) -> bytes:
    """Return an annotated ECG of the given series."""
    return f"""<?xml version="1.0" encoding="utf-8"?>
<!-- a comment that mentions <restingecgdata> -->
<AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" type="Observation">
<id root="{CANARY}"/><effectiveTime><low value="20160307"/></effectiveTime>
<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject><id extension="{CANARY}"/>
<subjectDemographicPerson><name>{CANARY}</name><birthTime value="{CANARY}"/></subjectDemographicPerson>
</trialSubject></subject></subjectAssignment></componentOf></timepointEvent></componentOf>
<pertainsTo><subjectFindingComment><text>{CANARY}</text></subjectFindingComment></pertainsTo>
{"".join(series)}</AnnotatedECG>""".encode()


def sierra_xml(payload: str, labels: tuple[str, ...], samples: int, *, version: str = "1.04.01", rate_hz: int = 500,
               compression: str = "", encoding: str = "Base64", resolution: str = "5", charset: str = "utf-16",
               extra: str = "") -> bytes:  # fmt: skip
    """Return a Philips file of encoded waveforms."""
    person = "".join(f"<{tag}>{CANARY}</{tag}>" for tag in ("patientid", "MRN", "lastname", "firstname", "dateofbirth"))
    coded = "".join(
        f"<statement><statementcode>{code}</statementcode><leftstatement>{left}</leftstatement>"
        f"<rightstatement>{right}</rightstatement></statement>"
        for code, left, right in (
            ("SR", "Sinus rhythm", "normal P axis"),
            ("", CANARY, "typed"),
            ("X", f"Confirmed by {CANARY}", ""),
            ("ET", f"Early transition {CANARY}", ""),
        )
    )
    text = f"""<?xml version="1.0" encoding="{charset}"?>
<restingecgdata xmlns="http://www3.medical.philips.com" status="New">
<documentinfo><documentname>{CANARY}</documentname><documenttype>PhilipsECG</documenttype>
<documentversion>{version}</documentversion><editor>{CANARY}</editor><comments>{CANARY}</comments></documentinfo>
<orderinfo><orderremarks>{CANARY}</orderremarks><referringphysician>{CANARY}</referringphysician></orderinfo>
<dataacquisition date="2016-03-07" time="09:05:30"><machine machineid="{CANARY}">PageWriter TC</machine>
<acquirer><operator id="{CANARY}">{CANARY}</operator><institutionname>{CANARY}</institutionname></acquirer>
<signalcharacteristics><acquisitiontype>STD-12</acquisitiontype><samplingrate>{rate_hz}</samplingrate>
<signalresolution>{resolution}</signalresolution><signalbandwidth>0.05-150</signalbandwidth>
<numberchannelsallocated>{len(labels) or 12}</numberchannelsallocated></signalcharacteristics></dataacquisition>
<patient><generalpatientdata>{person}</generalpatientdata></patient>
<interpretations><interpretation><globalmeasurements><heartrate>64</heartrate><qrsdur>102</qrsdur>
<qrsfrontaxis>22</qrsfrontaxis><qtco label="{CANARY}"/></globalmeasurements>
<mdsignatureline>{CANARY}</mdsignatureline><severity>- NORMAL ECG -</severity>{coded}</interpretation></interpretations>
<waveforms><parsedwaveforms dataencoding="{encoding}" compression="{compression}" leadlabels="{" ".join(labels)}"
 durationperchannel="{samples * 1000 / rate_hz:g}" notchfiltered="True" notchfilterfreqs="60" {extra}>
{payload}
</parsedwaveforms><repbeats><repbeat leadname="I"><waveform>{payload[:40]}</waveform></repbeat></repbeats></waveforms>
</restingecgdata>"""
    return text.encode(charset)


def sierra_plain(counts: Counts) -> str:
    """Return the leads as base64, one after another, not compressed."""
    return _wrapped(np.concatenate(list(counts.values())).astype("<i2").tobytes())


def sierra_xli(channels: list[np.ndarray]) -> str:
    """Return the leads compressed: a slow and plain writer of what `formats.philips_xli` reads."""
    return _wrapped(b"".join(_xli_chunk([int(x) for x in channel]) for channel in channels))


def residual_channels(counts: Counts) -> list[np.ndarray]:
    """Return twelve leads as a PageWriter stores them: III, aVR, aVL, aVF as prediction minus truth."""
    one, two = counts["I"], counts["II"]
    three = counts["III"]
    half = np.vectorize(lambda value: int(value / 2), otypes=[int])
    residuals = [two - one - three, -half(one + two) - counts["aVR"], half(one - three) - counts["aVL"],
                 half(two + three) - counts["aVF"]]  # fmt: skip
    return [one, two, *residuals, *(counts[lead] for lead in TWELVE[6:])]


def _xli_chunk(values: list[int]) -> bytes:
    words = values[:2] + [64] * (len(values) - 1)
    first = 2 * values[1] - values[0] - values[2] if len(values) > 2 else 0
    for i in range(3, len(values)):
        words[i - 1] = 64 + 2 * values[i - 1] - values[i - 2] - values[i]
    words = words[: len(values)]
    unsigned = [word % 65536 for word in words]
    codes = _lzw_codes(bytes([word >> 8 for word in unsigned] + [word & 255 for word in unsigned]))
    bits = "".join(f"{code:010b}" for code in [*codes, 1023])
    packed = bytes(int(bits[k : k + 8].ljust(8, "0"), 2) for k in range(0, len(bits), 8))
    return len(packed).to_bytes(4, "little") + b"\0\0" + first.to_bytes(2, "little", signed=True) + packed


def _lzw_codes(data: bytes) -> list[int]:
    table = {bytes((byte,)): byte for byte in range(256)}
    codes, word = [], b""
    for byte in data:
        longer = word + bytes((byte,))
        if longer in table:
            word = longer
            continue
        codes.append(table[word])
        if len(table) <= 1022:
            table[longer] = len(table)
        word = bytes((byte,))
    return [*codes, table[word]] if word else codes


def _wrapped(data: bytes) -> str:
    return base64.encodebytes(data).decode()


def _aecg_filter(kind: str, part: str, value: str) -> str:
    code = "MDC_ECG_CTL_VBL_ATTR_FILTER_"
    return (
        f'<controlVariable><controlVariable><code code="{code}{kind}"/><component><controlVariable>'
        f'<code code="{code}{part}"/><value xsi:type="PQ" value="{value}" unit="Hz"/></controlVariable></component>'
        "</controlVariable></controlVariable>"
    )


def exercise_xml() -> bytes:
    """Return an exercise test as CardioSoft writes it for field 6025: full disclosure, trend, protocol, strips."""
    disclosure = ",".join(str(value % 50) for value in range(1500))
    return f"""<?xml version="1.0" encoding="ISO8859-1" ?>
<CardiologyXML><ObservationType></ObservationType><PatientInfo><PID>{CANARY}</PID><Name><FamilyName>{CANARY}</FamilyName>
</Name></PatientInfo><Protocol><Phase><PhaseName>Pretest</PhaseName></Phase></Protocol>
<TrendData><NumberOfEntries>1</NumberOfEntries><TrendEntry Idx="0"><HeartRate>80</HeartRate></TrendEntry></TrendData>
<FullDisclosure><SampleRate units="Hz">500</SampleRate><NumberOfChannels>3</NumberOfChannels>
<LeadOrder>I,2,3</LeadOrder><Resolution units="uVperLsb">5</Resolution>
<FullDisclosureData>{disclosure}</FullDisclosureData></FullDisclosure>
<StripData><Strip><NumberOfLeads>3</NumberOfLeads><SampleRate units="Hz">500</SampleRate>
<WaveformData lead="I">1,2,3</WaveformData></Strip></StripData></CardiologyXML>""".encode("latin-1")
